//! Extensions of a certificate (RFC 5280, section 4.2.1).

use super::{
    certificate::Malformed,
    der::{self, Reader},
    general_name::{self, GeneralName, NameConstraints},
    qualifiers,
};

#[derive(Debug, Default)]
pub(super) struct Extensions<'a> {
    pub(super) subject_key_id: Option<&'a [u8]>,
    pub(super) authority_key_id: Option<&'a [u8]>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Option<ExtendedKeyUsage>,
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) subject_alternative_names: Vec<GeneralName<'a>>,
    pub(super) name_constraints: Option<NameConstraints<'a>>,
    /// Contents of the OIDs.
    pub(super) policies: Option<Vec<&'a [u8]>>,
    /// Pairs of issuerDomainPolicy and subjectDomainPolicy.
    pub(super) policy_mappings: Vec<(&'a [u8], &'a [u8])>,
    pub(super) policy_constraints: PolicyConstraints,
    pub(super) inhibit_any_policy: Option<u32>,
    /// Value of cRLDistributionPoints, which is read with the issuer's name.
    pub(super) crl_distribution_points: Option<&'a [u8]>,
    /// The OID of the first critical extension that is not supported.
    pub(super) unsupported_critical: Option<&'a [u8]>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct BasicConstraints {
    pub(super) is_ca: bool,
    pub(super) path_length: Option<u32>,
}

/// The first byte of the bits: digitalSignature is the highest.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyUsage(u8);

impl KeyUsage {
    pub(super) fn digital_signature(self) -> bool {
        self.0 & 0x80 != 0
    }

    pub(super) fn key_agreement(self) -> bool {
        self.0 & 0x08 != 0
    }

    pub(super) fn key_cert_sign(self) -> bool {
        self.0 & 0x04 != 0
    }

    pub(super) fn crl_sign(self) -> bool {
        self.0 & 0x02 != 0
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ExtendedKeyUsage {
    /// True for clientAuth and for anyExtendedKeyUsage.
    pub(super) has_client_auth: bool,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PolicyConstraints {
    pub(super) require_explicit_policy: Option<u32>,
    pub(super) inhibit_policy_mapping: Option<u32>,
}

/// Typical certificates have about ten extensions.
const MAX_EXTENSIONS: usize = 64;
/// Typical certificates have fewer than 20 policies, and cross certificates 30 mappings.
const MAX_POLICIES: usize = 256;

pub(super) const ANY_POLICY: &[u8] = &[0x55, 0x1d, 0x20, 0x00];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
const ANY_EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];

impl<'a> Extensions<'a> {
    pub(super) fn read(mut list: Reader<'a>) -> Result<Self, Malformed> {
        let mut read = Self::default();
        let mut oids: Vec<&[u8]> = Vec::with_capacity(16);
        while !list.is_empty() {
            let (oid, is_critical, value) = extension(&mut list).ok_or(Malformed("an extension"))?;
            if oids.len() == MAX_EXTENSIONS {
                return Err(Malformed("its extensions, more than 64"));
            }
            if oids.contains(&oid) {
                return Err(Malformed("an extension that appears twice"));
            }
            oids.push(oid);
            let is_supported = read.push(oid, value)?;
            // RFC 5280, 4.2.1.1 and 4.2.1.2: the key identifiers are never critical.
            if is_critical && (!is_supported || matches!(oid, [0x55, 0x1d, 14 | 35])) {
                read.unsupported_critical.get_or_insert(oid);
            }
        }
        Ok(read)
    }

    /// Returns false for an extension that is not supported.
    fn push(&mut self, oid: &'a [u8], value: &'a [u8]) -> Result<bool, Malformed> {
        let [0x55, 0x1d, number] = oid else { return Ok(false) };
        let malformed = Malformed(match number {
            14 => "its subjectKeyIdentifier",
            15 => "its keyUsage",
            17 => "its subjectAltName",
            19 => "its basicConstraints",
            30 => "its nameConstraints",
            31 => "its cRLDistributionPoints",
            32 => "its certificatePolicies",
            33 => "its policyMappings",
            35 => "its authorityKeyIdentifier",
            36 => "its policyConstraints",
            37 => "its extKeyUsage",
            54 => "its inhibitAnyPolicy",
            _ => return Ok(false),
        });
        self.set(*number, value).ok_or(malformed)?;
        Ok(true)
    }

    fn set(&mut self, number: u8, value: &'a [u8]) -> Option<()> {
        match number {
            14 => self.subject_key_id = Some(only(value, der::OCTET_STRING)?),
            15 => self.key_usage = Some(key_usage(value)?),
            17 => self.subject_alternative_names = general_name::read_all(der::sequence(value)?)?,
            19 => self.basic_constraints = Some(basic_constraints(value)?),
            30 => self.name_constraints = Some(NameConstraints::read(value)?),
            31 => self.crl_distribution_points = Some(value),
            32 => self.policies = Some(policies(value)?),
            33 => self.policy_mappings = policy_mappings(value)?,
            35 => self.authority_key_id = der::sequence(value)?.optional(0x80)?,
            36 => self.policy_constraints = policy_constraints(value)?,
            37 => self.extended_key_usage = Some(extended_key_usage(value)?),
            54 => self.inhibit_any_policy = Some(der::unsigned(only(value, der::INTEGER)?)?),
            _ => {}
        }
        Some(())
    }
}

fn extension<'a>(list: &mut Reader<'a>) -> Option<(&'a [u8], bool, &'a [u8])> {
    let mut fields = list.sequence()?;
    let oid = fields.expect(der::OID).filter(|oid| !oid.is_empty())?;
    let is_critical = fields.optional(der::BOOLEAN)?.map_or(Some(false), der::boolean)?;
    let value = fields.expect(der::OCTET_STRING)?;
    fields.end()?;
    Some((oid, is_critical, value))
}

/// The content of the only element.
fn only(value: &[u8], tag: u8) -> Option<&[u8]> {
    let mut reader = Reader::new(value);
    let content = reader.expect(tag)?;
    reader.end()?;
    Some(content)
}

/// Unused bits are not set, whatever their encoding.
fn key_usage(value: &[u8]) -> Option<KeyUsage> {
    match only(value, der::BIT_STRING)? {
        [unused @ 0..=7, bits] => Some(KeyUsage(*bits & 0xff << unused)),
        [0..=7, bits, _] => Some(KeyUsage(*bits)),
        [0] => Some(KeyUsage(0)),
        _ => None,
    }
}

fn basic_constraints(value: &[u8]) -> Option<BasicConstraints> {
    let mut fields = der::sequence(value)?;
    let is_ca = fields.optional(der::BOOLEAN)?.map_or(Some(false), der::boolean)?;
    let path_length = match fields.optional(der::INTEGER)? {
        Some(number) => Some(der::unsigned(number)?),
        None => None,
    };
    fields.end()?;
    Some(BasicConstraints { is_ca, path_length })
}

fn extended_key_usage(value: &[u8]) -> Option<ExtendedKeyUsage> {
    let mut purposes = der::sequence(value)?;
    let mut has_client_auth = false;
    if purposes.is_empty() {
        return None;
    }
    while !purposes.is_empty() {
        let purpose = purposes.expect(der::OID)?;
        has_client_auth |= purpose == CLIENT_AUTH || purpose == ANY_EXTENDED_KEY_USAGE;
    }
    Some(ExtendedKeyUsage { has_client_auth })
}

/// Each policy appears once; qualifiers are checked, and not kept.
fn policies(value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut list = der::sequence(value)?;
    let mut policies = Vec::new();
    while !list.is_empty() {
        let mut fields = list.sequence()?;
        let policy = fields.expect(der::OID)?;
        if !fields.is_empty() {
            qualifiers::check(fields.sequence()?)?;
            fields.end()?;
        }
        policies.push(policy);
    }
    let mut sorted = policies.clone();
    sorted.sort_unstable();
    sorted.dedup();
    let is_valid = !policies.is_empty() && sorted.len() == policies.len() && policies.len() <= MAX_POLICIES;
    is_valid.then_some(policies)
}

/// RFC 5280, 6.1.4 (a): anyPolicy is not mapped.
fn policy_mappings(value: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut list = der::sequence(value)?;
    let mut mappings = Vec::new();
    while !list.is_empty() {
        let mut pair = list.sequence()?;
        let (issuer, subject) = (pair.expect(der::OID)?, pair.expect(der::OID)?);
        pair.end()?;
        if issuer == ANY_POLICY || subject == ANY_POLICY || mappings.len() == MAX_POLICIES {
            return None;
        }
        mappings.push((issuer, subject));
    }
    (!mappings.is_empty()).then_some(mappings)
}

fn policy_constraints(value: &[u8]) -> Option<PolicyConstraints> {
    let mut fields = der::sequence(value)?;
    let mut number = |tag| match fields.optional(tag)? {
        Some(number) => der::unsigned(number).map(Some),
        None => Some(None),
    };
    let (require_explicit_policy, inhibit_policy_mapping) = (number(0x80)?, number(0x81)?);
    fields.end()?;
    // RFC 5280, 4.2.1.11: one of them is present.
    (require_explicit_policy.is_some() || inhibit_policy_mapping.is_some())
        .then_some(PolicyConstraints { require_explicit_policy, inhibit_policy_mapping })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_bits_of_key_usage_are_not_set() {
        for (value, can_sign) in [
            ([3, 2, 2, 0b0000_0100], true),
            ([3, 2, 0, 0b1000_0110], true),
            ([3, 2, 3, 0b0000_0100], false),
            ([3, 2, 7, 0b1000_0110], false),
        ] {
            assert_eq!(key_usage(&value).map(KeyUsage::key_cert_sign), Some(can_sign), "{value:?}");
        }
        assert!(key_usage(&[3, 2, 8, 0b0000_0100]).is_none(), "eight unused bits");
    }
}
