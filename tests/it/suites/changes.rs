//! Randomly changed chains. Changed certificates and lists are signed again, so that a change is judged, and not its
//! signature.

use std::rc::Rc;

use super::{
    case::{Case, Policies},
    openssl::AUTHORITY_KEY_ID,
    remake::{Field, Keys, Unsigned, extensions, first_of_certificate, first_of_list, set_extensions},
};
use crate::support::{
    der::{join, parts, wrap},
    random::Random,
};

/// A certificate or a list that can be changed.
#[derive(Clone)]
pub(super) struct Object {
    unsigned: Unsigned,
    keys: Rc<Keys>,
    /// The encoding, until something is changed.
    der: Option<Rc<Vec<u8>>>,
    /// A byte of the signed part that is replaced when all else is encoded. It is ASCII: OpenSSL reads no malformed UTF-8.
    noise: Option<(usize, u8)>,
}

/// A chain that can be changed.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) case: Case,
    pub(super) roots: Vec<Object>,
    pub(super) intermediates: Vec<Object>,
    leaf: Object,
    pub(super) lists: Option<Vec<Object>>,
}

/// Chains to change, and what changes are taken from.
#[derive(Default)]
pub(super) struct Pool {
    pub(super) chains: Vec<Chain>,
    certificates: Vec<Object>,
    lists: Vec<Object>,
    extensions: Vec<Vec<u8>>,
    names: Vec<Vec<u8>>,
}

impl Object {
    fn new(unsigned: Unsigned, keys: &Rc<Keys>) -> Self {
        let der = Rc::new(keys.sign(&unsigned));
        Self { unsigned, keys: keys.clone(), der: Some(der), noise: None }
    }

    fn encode(&self) -> Vec<u8> {
        if let Some(der) = &self.der {
            return der.to_vec();
        }
        let mut message = wrap(0x30, &join(&self.unsigned.fields));
        if let Some((at, byte)) = self.noise {
            let at = at % message.len();
            // The handshake reads the key of a client.
            let key = self
                .unsigned
                .key
                .is_some()
                .then(|| &self.unsigned.fields[first_of_certificate(&self.unsigned.fields) + 5].1);
            let is_key_at = |key: &Vec<u8>| {
                let start = message.windows(key.len()).position(|window| window == key).unwrap_or(0);
                (start..start + key.len()).contains(&at)
            };
            if !is_key_id_at(&message, at) && !key.is_some_and(is_key_at) {
                message[at] = byte;
            }
        }
        self.keys.sign_message(&message, &self.unsigned.algorithm, &self.unsigned.signer)
    }

    /// Keeps the encoding: a signature is another one each time.
    fn sign(&mut self) {
        self.der = Some(Rc::new(self.encode()));
    }

    /// Removes an extension, by its encoded OID. Noise has its place in the encoding: an object with noise is left as it is.
    fn remove_extension(&mut self, oid: &[u8]) {
        let mut list = extensions(&self.unsigned.fields);
        if self.noise.is_none() && list.iter().any(|extension| extension.starts_with(oid)) {
            list.retain(|extension| !extension.starts_with(oid));
            set_extensions(self.fields(), &list);
            self.sign();
        }
    }

    fn fields(&mut self) -> &mut Vec<Field> {
        self.der = None;
        &mut self.unsigned.fields
    }

    /// Issuer, validity, subject or public key of a certificate, counted from its serial number.
    fn field(&mut self, index: usize) -> &mut Vec<u8> {
        let at = first_of_certificate(&self.unsigned.fields) + index;
        &mut self.fields()[at].1
    }
}

const ISSUER: usize = 2;
const VALIDITY: usize = 3;
const SUBJECT: usize = 4;

impl Pool {
    /// Adds chains whose certificates are issued again under common keys.
    pub(super) fn add(&mut self, cases: &[Case]) {
        let certificates = cases.iter().flat_map(|case| {
            case.roots.iter().chain(&case.intermediates).chain([&case.leaf]).map(Vec::as_slice)
        });
        let keys = Rc::new(Keys::of(certificates));
        let mut remade = std::collections::HashMap::new();
        for case in cases {
            let mut certificate = |der: &Vec<u8>| {
                let new = || {
                    let object = Object::new(keys.certificate(der), &keys);
                    let extensions = extensions(&object.unsigned.fields).into_iter();
                    self.extensions.extend(extensions.filter(|extension| !is_key_id(extension)));
                    self.names.push(object.clone().field(SUBJECT).clone());
                    self.certificates.push(object.clone());
                    object
                };
                remade.entry(der.clone()).or_insert_with(new).clone()
            };
            let roots = case.roots.iter().map(&mut certificate).collect();
            let intermediates = case.intermediates.iter().map(&mut certificate).collect();
            let leaf = certificate(&case.leaf);
            let mut list = |der: &Vec<u8>| {
                let new = || {
                    let object = Object::new(keys.list(der), &keys);
                    self.lists.push(object.clone());
                    object
                };
                remade.entry(der.clone()).or_insert_with(new).clone()
            };
            let lists = case.lists.as_ref().map(|lists| lists.iter().map(&mut list).collect());
            self.chains.push(Chain { case: case.clone(), roots, intermediates, leaf, lists });
        }
    }

    /// One of the chains with up to three changes.
    pub(super) fn changed(&self, random: &mut Random) -> Chain {
        let mut chain = self.chains[random.below(self.chains.len())].clone();
        for _ in 0..=random.below(3) {
            if random.below(3) == 0 {
                self.change_chain(random, &mut chain);
            } else {
                self.change_object(random, &mut chain);
            }
        }
        chain.objects().for_each(Object::sign);
        chain
    }

    fn certificate(&self, random: &mut Random) -> Object {
        self.certificates[random.below(self.certificates.len())].clone()
    }

    fn change_chain(&self, random: &mut Random, chain: &mut Chain) {
        let count = chain.intermediates.len();
        let place = random.below(count.max(1));
        match random.below(14) {
            0 => chain.intermediates.reverse(),
            1 if count > 1 => chain.intermediates.swap(0, place),
            2 if count > 0 => drop(chain.intermediates.remove(place)),
            3 if count > 0 => chain.intermediates.push(chain.intermediates[place].clone()),
            4 => chain.intermediates.insert(place, self.certificate(random)),
            5 => chain.leaf = self.certificate(random),
            6 if count > 0 => chain.leaf = chain.intermediates[place].clone(),
            // OpenSSL checks the revocation of roots too.
            7 if chain.lists.is_none() => chain.roots.push(self.certificate(random)),
            8 if count > 0 && chain.lists.is_none() => chain.roots.push(chain.intermediates[place].clone()),
            9 => self.change_lists(random, chain),
            10 | 11 => change_policies(random, &mut chain.case.policies),
            // A cross certificate: the name and key of an intermediate, issued by another CA.
            12 | 13 if count > 0 => {
                let mut cross = chain.intermediates[place].clone();
                let mut other = if random.below(2) == 0 && count > 1 {
                    chain.intermediates[random.below(count)].clone()
                } else {
                    chain.roots[0].clone()
                };
                *cross.field(ISSUER) = other.field(SUBJECT).clone();
                cross.unsigned.signer = other.unsigned.key.clone();
                let mut list = extensions(&cross.unsigned.fields);
                list.retain(|extension| !extension.starts_with(AUTHORITY_KEY_ID));
                set_extensions(cross.fields(), &list);
                if random.below(2) == 0 {
                    *cross.field(VALIDITY) = self.certificate(random).field(VALIDITY).clone();
                }
                chain.intermediates.insert(random.below(count + 1), cross);
            }
            _ => chain.case.now = chain.case.now.plus((random.below(40) as i64 - 20) * 31_536_000),
        }
    }

    fn change_lists(&self, random: &mut Random, chain: &mut Chain) {
        let Some(lists) = &mut chain.lists else { return };
        let count = lists.len();
        match random.below(4) {
            0 if count > 0 => drop(lists.remove(random.below(count))),
            1 => chain.lists = None,
            2 if count > 0 => lists.push(lists[random.below(count)].clone()),
            _ => lists.push(self.lists[random.below(self.lists.len())].clone()),
        }
    }

    /// Changes one of the certificates or lists.
    fn change_object(&self, random: &mut Random, chain: &mut Chain) {
        let is_direct = chain.intermediates.is_empty();
        let place = random.below(chain.intermediates.len() + 3);
        let object = match (place, &mut chain.lists) {
            (0, Some(lists)) if !lists.is_empty() => {
                let at = random.below(lists.len());
                return self.change_list(random, &mut lists[at]);
            }
            (0 | 1, _) => &mut chain.leaf,
            (2, _) => {
                let at = random.below(chain.roots.len());
                &mut chain.roots[at]
            }
            (place, _) => &mut chain.intermediates[place - 3],
        };
        match random.below(16) {
            0 | 1 => self.respell(random, object),
            2 => *object.field(VALIDITY) = self.certificate(random).field(VALIDITY).clone(),
            3 => {
                let mut other = self.certificate(random);
                let field = random.pick(&[ISSUER, SUBJECT]);
                *object.field(field) = other.field(SUBJECT).clone();
            }
            4 => {
                object.der = None;
                object.unsigned.signer =
                    self.certificate(random).unsigned.key.filter(|key| object.keys.has(key));
            }
            5 if is_direct => object.fields().retain(|(tag, _)| *tag != 0xa0 && *tag != 0xa3),
            5 => {
                // Without an identifier of the issuer's key, OpenSSL takes the first CA of its name only.
                let mut list = extensions(&object.unsigned.fields);
                list.retain(|extension| is_key_id(extension));
                set_extensions(object.fields(), &list);
            }
            6 => {
                object.der = None;
                object.noise = Some((random.below(1 << 16), random.below(128) as u8));
            }
            _ => self.change_extensions(random, object),
        }
    }

    fn change_extensions(&self, random: &mut Random, object: &mut Object) {
        let mut list = extensions(&object.unsigned.fields);
        let other = self.extensions[random.below(self.extensions.len())].clone();
        if list.is_empty() {
            list.push(other);
        } else {
            let at = random.below(list.len());
            if is_key_id(&list[at]) {
                return;
            }
            match random.below(8) {
                0 => drop(list.remove(at)),
                1 => list.push(list[at].clone()),
                2 | 3 => list[at] = with_other_criticality(&list[at]),
                4 | 5 => {
                    // In place of an extension of the same type.
                    let is_same = |extension: &Vec<u8>| parts(extension)[0] == parts(&other)[0];
                    list.retain(|extension| !is_same(extension));
                    list.push(other);
                }
                6 => list.push(other),
                _ => {
                    let mut parts = parts(&list[at]);
                    if let Some((_, value)) = parts.last_mut().filter(|(_, value)| !value.is_empty()) {
                        let byte = random.below(value.len());
                        value[byte] = random.pick(&[0, 1, 2, 3, 4, 5, 6, 0x2e, 0x30, 0x80, 0xff]);
                    }
                    list[at] = join(&parts);
                }
            }
        }
        set_extensions(object.fields(), &list);
    }

    /// Changes the spelling of a name: cases, spaces, or the type of strings.
    fn respell(&self, random: &mut Random, object: &mut Object) {
        let field = random.pick(&[ISSUER, SUBJECT]);
        let name = object.field(field);
        match random.below(4) {
            0 => name.iter_mut().filter(|byte| **byte == 0x13).for_each(|tag| *tag = 0x0c),
            1 => name.iter_mut().filter(|byte| byte.is_ascii_lowercase()).for_each(|byte| *byte -= 0x20),
            2 => {
                if let Some(letter) = name.iter_mut().rev().find(|byte| byte.is_ascii_lowercase()) {
                    *letter = b' ';
                }
            }
            _ => *name = self.names[random.below(self.names.len())].clone(),
        }
    }

    fn change_list(&self, random: &mut Random, list: &mut Object) {
        let at = first_of_list(&list.unsigned.fields);
        match random.below(5) {
            0 => list.noise = Some((random.below(1 << 16), random.below(128) as u8)),
            1 => list.fields()[at + 1].1 = self.names[random.below(self.names.len())].clone(),
            2 => list.unsigned.signer = None,
            3 => list.fields().retain(|(tag, _)| *tag != 0xa0),
            _ => {
                let mut other = self.lists[random.below(self.lists.len())].clone();
                let from = first_of_list(&other.unsigned.fields);
                // The dates and entries of another list; the extensions name the key.
                let mut rest = other.fields().split_off(from + 2);
                rest.retain(|(tag, _)| *tag != 0xa0);
                let extensions: Vec<_> = list.fields().split_off(at + 2);
                list.fields().extend(rest);
                list.fields().extend(extensions.into_iter().filter(|(tag, _)| *tag == 0xa0));
            }
        }
        list.der = None;
    }
}

impl Chain {
    pub(super) fn encode(&self) -> Case {
        let all = |objects: &[Object]| objects.iter().map(Object::encode).collect::<Vec<_>>();
        Case {
            roots: all(&self.roots),
            intermediates: all(&self.intermediates),
            leaf: self.leaf.encode(),
            lists: self.lists.as_deref().map(all),
            ..self.case.clone()
        }
    }

    fn objects(&mut self) -> impl Iterator<Item = &mut Object> {
        let lists = self.lists.iter_mut().flatten();
        self.roots.iter_mut().chain(&mut self.intermediates).chain([&mut self.leaf]).chain(lists)
    }

    /// The chain without distribution points: only complete lists of the issuers cover its certificates.
    pub(super) fn without_distribution_points(mut self) -> Self {
        const DISTRIBUTION_POINTS: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x1f];
        let certificates = self.intermediates.iter_mut().chain([&mut self.leaf]);
        certificates.for_each(|certificate| certificate.remove_extension(DISTRIBUTION_POINTS));
        self
    }

    /// The chain without policy mappings in its last certificate.
    pub(super) fn without_mappings_of_leaf(mut self) -> Self {
        const POLICY_MAPPINGS: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x21];
        self.leaf.remove_extension(POLICY_MAPPINGS);
        self
    }
}

/// OIDs of the identifiers of keys. They are hints: the library and webpki ignore other ones, OpenSSL rejects them, so that
/// they are not changed.
const KEY_IDS: [&[u8]; 2] = [&[0x06, 0x03, 0x55, 0x1d, 0x0e], AUTHORITY_KEY_ID];

fn is_key_id(extension: &[u8]) -> bool {
    KEY_IDS.iter().any(|oid| extension.starts_with(oid))
}

/// True if this byte may belong to the identifier of a key.
fn is_key_id_at(message: &[u8], at: usize) -> bool {
    let before = &message[at.saturating_sub(40)..message.len().min(at + 8)];
    KEY_IDS.iter().any(|oid| before.windows(oid.len()).any(|window| window == *oid))
}

fn with_other_criticality(extension: &[u8]) -> Vec<u8> {
    let mut parts = parts(extension);
    if parts[1].0 == 0x01 {
        parts.remove(1);
    } else {
        parts.insert(1, (0x01, vec![0xff]));
    }
    join(&parts)
}

fn change_policies(random: &mut Random, policies: &mut Policies) {
    match random.below(4) {
        0 => policies.explicit = !policies.explicit,
        1 => policies.inhibit_mapping = !policies.inhibit_mapping,
        2 => policies.inhibit_any = !policies.inhibit_any,
        _ => policies.initial = vec![format!("2.16.840.1.101.3.2.1.48.{}", 1 + random.below(7))],
    }
}
