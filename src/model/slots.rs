//! Which slots each kind of clause may say.
//!
//! Knows nothing of words.

use crate::domain::slots::SlotSet;

use super::constraint::{ADVICE, DELAY, EXTENT, PROBLEM, SAVING, SECOND, TIME};
use super::corpus::Role;

/// What clauses of a kind (`constraint::KINDS`) may say.
pub(super) fn of_kind(kind: usize) -> SlotSet {
    let roles: &[Role] = match kind {
        PROBLEM => &[Role::Problem],
        EXTENT => &[Role::Between, Role::Lanes],
        TIME => &[Role::Since, Role::Until],
        DELAY => &[Role::Delay],
        SECOND => &[Role::AlsoClosed, Role::AlsoQueue],
        ADVICE => &[Role::OtherRoute, Role::Turn, Role::Via],
        SAVING => &[Role::Saving],
        _ => &[Role::Reason],
    };
    let slots = roles.iter().flat_map(|role| role.allowed());
    slots.fold(SlotSet::default(), |set, slot| set.with(*slot))
}
