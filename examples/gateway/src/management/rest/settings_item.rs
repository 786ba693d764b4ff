//! Resources that are items of the store's settings, or parts of one.

use super::{
    request::RequestContext,
    resource::{Resource, Storage},
};
use crate::store::{ChangeError, Item, ItemValue, Precondition, Revision, Settings, SettingsChange, Stored};

/// An item of the settings, or a part of one.
pub(super) trait SettingsItem: Resource {
    fn item(&self) -> Item;

    /// Returns the value in these settings.
    fn value(&self, settings: &Settings) -> Option<Self::Value>;

    /// Returns the item with a new value; one that is not `is_whole` is based on the current value.
    fn edit(
        &self,
        settings: &Settings,
        input: &Self::Input,
        is_whole: bool,
        tag: Revision,
    ) -> Result<ItemValue, ChangeError>;

    /// Returns the item without the value; None removes it.
    fn without_value(&self, _: &Settings) -> Result<Option<ItemValue>, ChangeError> {
        Ok(None)
    }
}

impl<R: SettingsItem> Storage for R {
    async fn put(
        &self,
        context: &RequestContext,
        input: R::Input,
        condition: &Precondition,
        is_whole: bool,
    ) -> Result<Stored<(R::Value, bool)>, ChangeError> {
        let edit = |settings: &Settings, tag| {
            let current = self.value(settings).as_ref().map(R::tag);
            if !is_whole && current.is_none() {
                return Err(ChangeError::Absent);
            }
            condition.check(current)?;
            self.edit(settings, &input, is_whole, tag).map(Some)
        };
        let stored = context.store.change(&self.item(), edit).await?;
        let SettingsChange { before, after } = &stored.value;
        let value = self.value(after).ok_or(ChangeError::Absent)?;
        let is_new = self.value(before).is_none();
        Ok(stored.map(|_| (value, is_new)))
    }

    async fn delete(
        &self,
        context: &RequestContext,
        condition: &Precondition,
    ) -> Result<Stored<Option<R::Value>>, ChangeError> {
        let edit = |settings: &Settings, _| {
            let current = self.value(settings).ok_or(ChangeError::Absent)?;
            condition.check(Some(R::tag(&current)))?;
            self.without_value(settings)
        };
        let stored = context.store.change(&self.item(), edit).await?;
        Ok(stored.map(|change| self.value(&change.before)))
    }
}
