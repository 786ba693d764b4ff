//! Functions, as far as their values are known.

use super::{
    expression::Evaluation,
    value::{Seen, Truth, What},
};
use crate::apim::expression::{Case, Function, Node};

/// Digits of a thumbprint.
const DIGITS: i32 = 40;

impl<'p> Evaluation<'_, 'p> {
    pub(super) fn call(&mut self, function: Function, arguments: &'p [Node]) -> Option<Seen<'p>> {
        match (function, arguments) {
            (Function::IsNullOrEmpty | Function::IsNullOrWhiteSpace, [text]) => {
                let text = self.value(text)?;
                let mut truth = match text.what {
                    What::Nothing => Truth::NEVER,
                    What::Text(known) if function == Function::IsNullOrEmpty => Truth::from(known.is_empty()),
                    What::Text(known) => Truth::from(known.trim().is_empty()),
                    What::Thumbprint => Truth::FALSE,
                    _ => Truth::UNKNOWN,
                };
                truth.may_hold |= text.is_nullable;
                Some(Seen::truth(truth))
            }
            (Function::SameText(case), [one, other]) => {
                let (one, other) = (self.value(one)?, self.value(other)?);
                Some(Seen::truth(one.equals(other, case == Case::Ordinal)))
            }
            (Function::EqualsText(case), [one, other]) => {
                let (one, other) = (self.target(one)?, self.value(other)?);
                Some(Seen::truth(one.equals(other, case == Case::Ordinal)))
            }
            (Function::Contains(_) | Function::HasText | Function::IndexOf(_), [one, other]) => {
                let (one, other) = (self.target(one)?, self.value(other)?);
                self.may_fault |= other.is_nullable && function != Function::HasText;
                let is_own_among_fixed = one.what.is_fixed() && other.what.is_own_thumbprint();
                Some(match function {
                    Function::IndexOf(_) if is_own_among_fixed => Seen::of(What::Int(-1)),
                    Function::IndexOf(_) => Seen::of(What::Other),
                    _ if is_own_among_fixed => Seen::truth(Truth::FALSE),
                    _ => Seen::truth(Truth::UNKNOWN),
                })
            }
            // Null stays null, and nothing fails.
            (Function::ToDouble, [only]) => {
                let only = self.value(only)?;
                Some(match only.what {
                    What::Nothing => Seen::NULL,
                    _ => made_of_one(function, only).or_null(only.is_nullable),
                })
            }
            (function, [only]) => {
                let only = self.target(only)?;
                Some(of_one(function, only).unwrap_or_else(|| {
                    self.may_fault |= may_fail(function);
                    made_of_one(function, only)
                }))
            }
            (function, [target, rest @ ..]) if selects(function) => {
                let target = self.target(target)?;
                for argument in rest {
                    self.target(argument)?;
                }
                self.may_fault |= may_fail(function);
                Some(made_of_one(function, target))
            }
            (function, arguments) => {
                self.may_fault |= may_fail(function);
                self.made_of(arguments)
            }
        }
    }
}

fn made_of_one(function: Function, value: Seen<'_>) -> Seen<'static> {
    let is_fixed = value.is_exact() || (selects(function) && value.what.is_fixed());
    Seen::of(if is_fixed { What::Fixed } else { What::Other }).or_null(function == Function::FirstOrDefault)
}

/// Whether the function cuts something out of its first value, or changes nothing but case: what it makes of one of a
/// few values is one of a few.
fn selects(function: Function) -> bool {
    matches!(
        function,
        Function::ToUpper
            | Function::ToLower
            | Function::Trim(_)
            | Function::TrimOf(_)
            | Function::ToText
            | Function::Substring
            | Function::CharAt
            | Function::Split { .. }
            | Function::SplitBy { .. }
            | Function::At
            | Function::First
            | Function::FirstOrDefault
            | Function::Last
    )
}

/// The result of a function of one value that is not null.
fn of_one<'p>(function: Function, value: Seen<'p>) -> Option<Seen<'p>> {
    use What::{Bool, Certificate, Entry, Fixed, Hash, Text, Thumbprint};
    let what = match (function, value.what) {
        (Function::ToUpper | Function::ToLower | Function::Trim(_), Thumbprint) => Thumbprint,
        (Function::ToText, text @ (Text(_) | Thumbprint)) => text,
        (Function::ToText, Bool(Truth::TRUE)) => Text("True"),
        (Function::ToText, Bool(Truth::FALSE)) => Text("False"),
        (Function::Length, Thumbprint) => What::Int(DIGITS),
        (Function::ToBase64 | Function::ToHex, Hash) => Hash,
        (Function::Sha1, Certificate) => Hash,
        (Function::Verify | Function::HasPrivateKey, Certificate) => Bool(Truth::FALSE),
        (Function::Verify | Function::HasPrivateKey, _) => Bool(Truth::UNKNOWN),
        (Function::PairValue, Entry) => Entry,
        (Function::PairKey, Entry) => Fixed,
        _ => return None,
    };
    Some(Seen::of(what))
}

/// Whether there are values, other than null, for which the function has none.
fn may_fail(function: Function) -> bool {
    !matches!(
        function,
        Function::Length
            | Function::ToUpper
            | Function::ToLower
            | Function::Trim(_)
            | Function::TrimOf(_)
            | Function::Contains(_)
            | Function::StartsWith(_)
            | Function::EndsWith(_)
            | Function::IndexOf(_)
            | Function::LastIndexOf
            | Function::Split { .. }
            | Function::SplitBy { .. }
            | Function::Join
            | Function::ToText
            | Function::ToDouble
            | Function::Count
            | Function::HasText
            | Function::IsNotEmpty
            | Function::TotalUnits(_)
            | Function::PartOfSpan(..)
            | Function::Difference
            | Function::Year
            | Function::Month
            | Function::Day
            | Function::NotBefore
            | Function::NotAfter
            | Function::SimpleName { .. }
            | Function::DnsName { .. }
            | Function::Version
            | Function::RawData
            | Function::Sha1
            | Function::SerialReversed
            | Function::ToBase64
            | Function::ToHex
            | Function::PairKey
            | Function::PairValue
    )
}
