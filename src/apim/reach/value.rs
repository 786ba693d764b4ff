//! Knowledge about a value.

/// Possible results of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) may_hold: bool,
    pub(super) may_fail: bool,
}

impl Truth {
    pub(super) const TRUE: Self = Self { may_hold: true, may_fail: false };
    pub(super) const FALSE: Self = Self { may_hold: false, may_fail: true };
    pub(super) const UNKNOWN: Self = Self { may_hold: true, may_fail: true };
    /// No result: never evaluated.
    pub(super) const NEVER: Self = Self { may_hold: false, may_fail: false };

    pub(super) fn not(self) -> Self {
        Self { may_hold: self.may_fail, may_fail: self.may_hold }
    }

    pub(super) fn join(self, other: Self) -> Self {
        Self { may_hold: self.may_hold || other.may_hold, may_fail: self.may_fail || other.may_fail }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::TRUE } else { Self::FALSE }
    }
}

/// A value, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen<'p> {
    pub(super) what: What<'p>,
    pub(super) is_nullable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What<'p> {
    /// Null and nothing else.
    Nothing,
    Bool(Truth),
    Int(i32),
    /// A text that the document writes out.
    Text(&'p str),
    /// The caller's own thumbprint, whole, in upper or lower case.
    Thumbprint,
    /// The same bytes in another form, or between texts that are known.
    Hash,
    /// The caller's own certificate.
    Certificate,
    /// An entry of the deployment, or its certificate.
    Entry,
    /// One of the values, or a list of them, that the document and the deployment hold. The caller may choose among
    /// them and can make none.
    Fixed,
    /// Anything.
    Other,
}

impl<'p> Seen<'p> {
    pub(super) const NULL: Self = Self { what: What::Nothing, is_nullable: true };
    /// Anything, null included.
    pub(super) const UNKNOWN: Self = Self { what: What::Other, is_nullable: true };

    /// A value that is not null.
    pub(super) fn of(what: What<'p>) -> Self {
        Self { what, is_nullable: false }
    }

    pub(super) fn truth(truth: Truth) -> Self {
        Self::of(What::Bool(truth))
    }

    pub(super) fn or_null(self, is_nullable: bool) -> Self {
        Self { is_nullable: self.is_nullable || is_nullable, ..self }
    }

    /// One of the two.
    pub(super) fn join(self, other: Self) -> Self {
        let what = match (self.what, other.what) {
            (What::Nothing, what) | (what, What::Nothing) => what,
            (one, two) if one == two => one,
            (What::Bool(one), What::Bool(two)) => What::Bool(one.join(two)),
            (one, two) if one.is_fixed() && two.is_fixed() => What::Fixed,
            _ => What::Other,
        };
        Self { what, is_nullable: self.is_nullable || other.is_nullable }
    }

    /// Whether it is one value, that is known.
    pub(super) fn is_exact(self) -> bool {
        match self.what {
            What::Nothing => true,
            What::Int(_) | What::Text(_) | What::Bool(Truth::TRUE | Truth::FALSE) => !self.is_nullable,
            _ => false,
        }
    }

    /// The possible results as a condition.
    pub(super) fn as_condition(self) -> Truth {
        match self.what {
            What::Bool(truth) => truth,
            _ => Truth::UNKNOWN,
        }
    }

    /// `==`, where null equals null alone.
    pub(super) fn equals(self, other: Self, is_ordinal: bool) -> Truth {
        let is_something = |seen: Self| seen.what != What::Nothing;
        let mut truth = Truth::NEVER;
        if is_something(self) && is_something(other) {
            truth = self.what.equals(other.what, is_ordinal);
        }
        truth.may_hold |= self.is_nullable && other.is_nullable;
        truth.may_fail |=
            (self.is_nullable && is_something(other)) || (other.is_nullable && is_something(self));
        truth
    }
}

impl What<'_> {
    pub(super) fn is_fixed(self) -> bool {
        match self {
            Self::Nothing | Self::Bool(_) | Self::Int(_) | Self::Text(_) | Self::Entry | Self::Fixed => true,
            Self::Thumbprint | Self::Hash | Self::Certificate | Self::Other => false,
        }
    }

    pub(super) fn is_own_thumbprint(self) -> bool {
        matches!(self, Self::Thumbprint | Self::Hash)
    }

    fn equals(self, other: Self, is_ordinal: bool) -> Truth {
        match (self, other) {
            (Self::Bool(one), Self::Bool(two)) if one != Truth::UNKNOWN && two != Truth::UNKNOWN => {
                (one == two).into()
            }
            (Self::Int(one), Self::Int(two)) => (one == two).into(),
            (Self::Text(one), Self::Text(two)) if one == two => Truth::TRUE,
            (Self::Text(_), Self::Text(_)) if is_ordinal => Truth::FALSE,
            // A certificate for a given thumbprint cannot be made.
            (one, two) if one.is_own_thumbprint() && two.is_fixed() => Truth::FALSE,
            (one, two) if one.is_fixed() && two.is_own_thumbprint() => Truth::FALSE,
            _ => Truth::UNKNOWN,
        }
    }
}
