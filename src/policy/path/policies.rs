//! Certificate policies (RFC 5280, sections 6.1.2 to 6.1.5, with the graph of RFC 9618).
//!
//! A level has one node per policy and an edge per expected policy, so the graph grows with the sum of the extensions'
//! entries. Qualifiers are not kept. Childless nodes are not pruned: only those from which a node of the last level is
//! reached count.

use std::collections::BTreeMap;

use super::{
    super::ChainRequirements,
    certificate::PathCertificate,
    error::Failure,
    extensions::{ANY_POLICY, Extensions},
};

/// The state of 6.1.2 that concerns policies.
#[derive(Debug)]
pub(super) struct Policies<'p> {
    explicit_policy: usize,
    policy_mapping: usize,
    inhibit_any_policy: usize,
    /// The levels from depth 1 on; None for an empty graph.
    levels: Option<Vec<Level<'p>>>,
}

/// The nodes of one depth.
#[derive(Debug, Default)]
struct Level<'p> {
    nodes: Vec<Node>,
    /// Nodes by expected policy, without that of anyPolicy.
    expected: BTreeMap<&'p [u8], Vec<usize>>,
    /// Nodes by valid policy.
    by_policy: BTreeMap<&'p [u8], usize>,
    has_any_policy: bool,
}

#[derive(Debug)]
struct Node {
    /// Nodes of the level above; empty for a child of anyPolicy.
    parents: Vec<usize>,
}

impl<'p> Level<'p> {
    fn push(&mut self, policy: &'p [u8], parents: Vec<usize>) {
        self.by_policy.insert(policy, self.nodes.len());
        self.nodes.push(Node { parents });
    }

    fn is_empty(&self) -> bool {
        !self.has_any_policy && self.by_policy.is_empty()
    }
}

impl<'p> Policies<'p> {
    /// 6.1.2 (a), (d), (e), (f), for a path of `length` certificates.
    pub(super) fn new(requirements: &ChainRequirements, length: usize) -> Self {
        let initial = |is_set| if is_set { 0 } else { length + 1 };
        Self {
            explicit_policy: initial(requirements.is_explicit_policy_required),
            policy_mapping: initial(requirements.is_policy_mapping_inhibited),
            inhibit_any_policy: initial(requirements.is_any_policy_inhibited),
            levels: Some(Vec::new()),
        }
    }

    /// 6.1.3 (d), (e), (f).
    pub(super) fn process(
        &mut self,
        certificate: &'p PathCertificate<'p>,
        is_last: bool,
    ) -> Result<(), Failure> {
        let is_any_allowed = self.inhibit_any_policy > 0 || (!is_last && certificate.is_self_issued());
        self.levels = match (self.levels.take(), &certificate.extensions.policies) {
            (Some(mut levels), Some(policies)) => {
                let level = next_level(levels.last(), policies, is_any_allowed);
                let is_empty = level.is_empty();
                levels.push(level);
                (!is_empty).then_some(levels)
            }
            _ => None,
        };
        if self.explicit_policy == 0 && self.levels.is_none() {
            return Err(Failure::Policy);
        }
        Ok(())
    }

    /// 6.1.4 (a), (b), (h), (i), (j).
    pub(super) fn prepare(&mut self, certificate: &'p PathCertificate<'p>) {
        let extensions = &certificate.extensions;
        if let Some(levels) = &mut self.levels {
            map(levels, extensions, self.policy_mapping > 0);
            let is_empty =
                levels.last().is_none_or(|level| level.expected.is_empty() && !level.has_any_policy);
            if is_empty {
                self.levels = None;
            }
        }
        if !certificate.is_self_issued() {
            for counter in [&mut self.explicit_policy, &mut self.policy_mapping, &mut self.inhibit_any_policy]
            {
                *counter = counter.saturating_sub(1);
            }
        }
        let limit = |counter: &mut usize, number: Option<u32>| {
            *counter = number.map_or(*counter, |number| (*counter).min(number as usize));
        };
        limit(&mut self.explicit_policy, extensions.policy_constraints.require_explicit_policy);
        limit(&mut self.policy_mapping, extensions.policy_constraints.inhibit_policy_mapping);
        limit(&mut self.inhibit_any_policy, extensions.inhibit_any_policy);
    }

    /// 6.1.5 (a), (b), (g).
    pub(super) fn finish(
        mut self,
        last: &PathCertificate<'_>,
        requirements: &ChainRequirements,
    ) -> Result<(), Failure> {
        self.explicit_policy = self.explicit_policy.saturating_sub(1);
        if last.extensions.policy_constraints.require_explicit_policy == Some(0) {
            self.explicit_policy = 0;
        }
        if self.explicit_policy > 0 {
            return Ok(());
        }
        let levels = self.levels.ok_or(Failure::Policy)?;
        let Some(accepted) = &requirements.policies else { return Ok(()) };
        let has_any_policy = levels.last().is_none_or(|level| level.has_any_policy);
        let is_accepted = |policy: &[u8]| accepted.iter().any(|accepted| **accepted == *policy);
        let is_valid =
            (has_any_policy && !accepted.is_empty()) || authority_policies(&levels).any(is_accepted);
        is_valid.then_some(()).ok_or(Failure::Policy)
    }
}

/// 6.1.3 (d) (1), (2).
fn next_level<'p>(above: Option<&Level<'p>>, policies: &[&'p [u8]], is_any_allowed: bool) -> Level<'p> {
    let is_child_of_any = above.is_none_or(|above| above.has_any_policy);
    let mut level = Level::default();
    for policy in policies.iter().filter(|policy| **policy != ANY_POLICY) {
        match above.and_then(|above| above.expected.get(policy)) {
            Some(parents) => level.push(policy, parents.clone()),
            None if is_child_of_any => level.push(policy, Vec::new()),
            None => {}
        }
    }
    if is_any_allowed && policies.contains(&ANY_POLICY) {
        for (policy, parents) in above.into_iter().flat_map(|above| &above.expected) {
            if !level.by_policy.contains_key(policy) {
                level.push(policy, parents.clone());
            }
        }
        level.has_any_policy = is_child_of_any;
    }
    level
}

/// 6.1.4 (b): the expected policies of the last level.
fn map<'p>(levels: &mut [Level<'p>], extensions: &Extensions<'p>, is_allowed: bool) {
    let Some(level) = levels.last_mut() else { return };
    let mut mapped: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
    for (issuer, subject) in &extensions.policy_mappings {
        mapped.entry(issuer).or_default().push(subject);
    }
    if is_allowed && level.has_any_policy {
        for policy in mapped.keys() {
            if !level.by_policy.contains_key(policy) {
                level.push(policy, Vec::new());
            }
        }
    }
    for (policy, node) in &level.by_policy {
        match mapped.get(policy) {
            Some(subjects) if is_allowed => {
                for subject in subjects {
                    let nodes = level.expected.entry(subject).or_default();
                    if nodes.last() != Some(node) {
                        nodes.push(*node);
                    }
                }
            }
            // (2): the node is deleted.
            Some(_) => {}
            None => level.expected.entry(policy).or_default().push(*node),
        }
    }
}

/// The policies of the authority-constrained policy set, without anyPolicy: those of children of anyPolicy from which a node
/// of the last level is reached.
fn authority_policies<'l>(levels: &'l [Level<'_>]) -> impl Iterator<Item = &'l [u8]> {
    let mut reached: Vec<bool> = levels.last().map_or_else(Vec::new, |last| vec![true; last.nodes.len()]);
    levels.iter().enumerate().rev().flat_map(move |(depth, level)| {
        let above = depth.checked_sub(1).and_then(|above| levels.get(above));
        let mut reached_above = vec![false; above.map_or(0, |above| above.nodes.len())];
        let is_reached = |index: usize| reached.get(index) == Some(&true);
        for (_, node) in level.nodes.iter().enumerate().filter(|(index, _)| is_reached(*index)) {
            for parent in &node.parents {
                if let Some(parent) = reached_above.get_mut(*parent) {
                    *parent = true;
                }
            }
        }
        let of_any = |index: usize| level.nodes.get(index).is_some_and(|node| node.parents.is_empty());
        let found: Vec<&[u8]> = level
            .by_policy
            .iter()
            .filter(|(_, index)| is_reached(**index) && of_any(**index))
            .map(|(policy, _)| *policy)
            .collect();
        reached = reached_above;
        found
    })
}
