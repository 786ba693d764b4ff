//! Certificates and reasons that a list covers: its issuing distribution point (RFC 5280, section 5.2.5), and the
//! distribution points of a certificate (section 4.2.1.13).

use super::{
    super::path::der::{self, Reader},
    point_name::{PointName, read_general_names, read_point_name},
};
use crate::certificate::DistinguishedName;

/// Limit of the distribution points of a certificate.
const MAX_POINTS: usize = 64;

const NAME: u8 = 0xa0;

/// A set of revocation reasons, by their bit numbers in ReasonFlags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reasons(u16);

impl Reasons {
    pub(super) const NONE: Self = Self(0);
    /// Bits 1 to 8; bit 0 is unused.
    pub(super) const ALL: Self = Self(0x1fe);

    /// Reads the content of a BIT STRING.
    fn read(content: &[u8]) -> Option<Self> {
        let (unused, bytes) = content.split_first()?;
        if *unused > 7 || bytes.len() > 2 {
            return None;
        }
        let bit = |number: usize| {
            let byte = bytes.get(number / 8).copied().unwrap_or(0);
            u16::from(byte >> (7 - number % 8) & 1) << number
        };
        Some(Self((0..16).map(bit).sum::<u16>() & Self::ALL.0))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Scope of a list.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// The encoded extension; empty if absent. Lists of one issuer with the same bytes form a series.
    pub(super) encoding: Box<[u8]>,
    /// Names of the distribution point; None if the list is for all.
    names: Option<Vec<PointName>>,
    only_users: bool,
    only_authorities: bool,
    pub(super) only_attributes: bool,
    pub(super) is_indirect: bool,
    reasons: Reasons,
}

impl Scope {
    /// All certificates of the issuer and all reasons.
    pub(super) fn complete() -> Self {
        Self {
            encoding: Box::default(),
            names: None,
            only_users: false,
            only_authorities: false,
            only_attributes: false,
            is_indirect: false,
            reasons: Reasons::ALL,
        }
    }

    /// Reads the value of an issuingDistributionPoint extension.
    pub(super) fn read(value: &[u8], issuer: &DistinguishedName) -> Option<Self> {
        let mut fields = der::sequence(value)?;
        let names = fields.optional(NAME)?.map(|name| read_point_name(name, issuer).ok_or(()));
        let mut flag = |tag| fields.optional(tag)?.map_or(Some(false), der::boolean);
        let (only_users, only_authorities) = (flag(0x81)?, flag(0x82)?);
        let reasons = fields.optional(0x83)?.map_or(Some(Reasons::ALL), Reasons::read)?;
        let mut flag = |tag| fields.optional(tag)?.map_or(Some(false), der::boolean);
        let (is_indirect, only_attributes) = (flag(0x84)?, flag(0x85)?);
        fields.end()?;
        Some(Self {
            encoding: value.into(),
            names: names.transpose().ok()?,
            only_users,
            only_authorities,
            only_attributes,
            is_indirect,
            reasons,
        })
    }

    /// The reasons for which the list covers a certificate with these distribution points (section 6.3.3 (b)).
    pub(super) fn coverage(&self, is_ca: bool, points: &Points) -> Reasons {
        if self.only_attributes || (is_ca && self.only_users) || (!is_ca && self.only_authorities) {
            return Reasons::NONE;
        }
        let Some(names) = &self.names else { return self.reasons };
        let matching = points.0.iter().filter(|point| point.names.iter().any(|name| names.contains(name)));
        matching.fold(Reasons::NONE, |reasons, point| reasons.or(point.reasons)).and(self.reasons)
    }
}

/// Returns true for the value of a cRLDistributionPoints extension.
pub(in crate::policy) fn are_points(value: &[u8], issuer: &DistinguishedName) -> bool {
    Points::read(Some(value), issuer).is_some()
}

/// Distribution points of a certificate at which its own issuer publishes.
pub(super) struct Points(Vec<Point>);

struct Point {
    names: Vec<PointName>,
    reasons: Reasons,
}

impl Points {
    /// Reads the value of a cRLDistributionPoints extension. The issuer's own name is added as a point (section 6.3.3, last
    /// paragraph). None if the extension is malformed.
    pub(super) fn read(value: Option<&[u8]>, issuer: &DistinguishedName) -> Option<Self> {
        let own = PointName::Directory(issuer.clone());
        let mut points = Vec::new();
        let mut reader = value.map_or_else(|| Some(Reader::new(&[])), der::sequence)?;
        while !reader.is_empty() {
            if points.len() == MAX_POINTS {
                return None;
            }
            let mut fields = reader.sequence()?;
            let name = fields.optional(NAME)?;
            let reasons = fields.optional(0x81)?.map_or(Some(Reasons::ALL), Reasons::read)?;
            let crl_issuer = fields.optional(0xa2)?.map_or(Some(Vec::new()), read_general_names)?;
            fields.end()?;
            if !crl_issuer.is_empty() && !crl_issuer.contains(&own) {
                // The lists of another issuer are indirect.
                continue;
            }
            let names = name.map_or(Some(crl_issuer), |name| read_point_name(name, issuer))?;
            points.push(Point { names, reasons });
        }
        points.push(Point { names: vec![own], reasons: Reasons::ALL });
        Some(Self(points))
    }
}
