//! The share rule: which connections one share may begin to use.

/// One connection limit, as it is for one share.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShareState {
    pub(super) limit: usize,
    /// Connections in use by any share.
    pub(super) in_use: usize,
    /// Of these, the ones that this share uses.
    pub(super) own: usize,
    /// True if there are other shares.
    pub(super) has_rivals: bool,
}

impl ShareState {
    /// Returns true if the share may use a connection that is not in use.
    pub(super) fn may_use_another(self) -> bool {
        self.in_use < self.usable()
    }

    /// Returns true if the share may use a connection that other shares use.
    pub(super) fn may_join(self) -> bool {
        self.in_use <= self.usable()
    }

    /// The last eighth, at least one, is reserved for shares that use none.
    fn usable(self) -> usize {
        let is_reserved = self.has_rivals && self.own > 0;
        if is_reserved { self.limit - (self.limit / 8).clamp(1, self.limit) } else { self.limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_eighth_belongs_to_shares_that_use_none() {
        // Limit, in use, own, rivals; whether another connection may be used, and one in use joined.
        for (name, limit, in_use, own, has_rivals, another, join) in [
            ("first connection", 8, 0, 0, true, true, true),
            ("last free one before the reserve", 8, 6, 6, true, true, true),
            ("reserve, of a share that uses the rest", 8, 7, 7, true, false, true),
            ("reserve, of a share that uses none", 8, 7, 0, true, true, true),
            ("reserve in use", 8, 8, 7, true, false, false),
            ("reserve in use, share that uses none", 8, 8, 0, true, false, true),
            ("only share", 8, 7, 7, false, true, true),
            ("only share, all in use", 8, 8, 8, false, false, true),
            ("two of sixteen are reserved", 16, 13, 1, true, true, true),
            ("two of sixteen are reserved", 16, 14, 1, true, false, true),
            ("one of fifteen is reserved", 15, 13, 13, true, true, true),
            ("one of two is reserved", 2, 1, 1, true, false, true),
            ("one of two, share that uses none", 2, 1, 0, true, true, true),
            ("limit of one, free", 1, 0, 0, true, true, true),
            ("limit of one, in use", 1, 1, 0, true, false, true),
            ("limit of one, own", 1, 1, 1, true, false, false),
        ] {
            let state = ShareState { limit, in_use, own, has_rivals };
            assert_eq!(state.may_use_another(), another, "{name}: {state:?}");
            assert_eq!(state.may_join(), join, "{name}: {state:?}");
        }
    }
}
