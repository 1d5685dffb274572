//! Sets of slots.
//!
//! Knows nothing of words.

use super::wording::{Slot, WordingRequest};

/// A set of slots, one bit each in the order of `Slot::ALL`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotSet(u16);

impl SlotSet {
    #[must_use]
    pub fn with(self, slot: Slot) -> Self {
        Self(self.0 | 1 << slot as u8)
    }

    pub fn has(self, slot: Slot) -> bool {
        self.0 & (1 << slot as u8) != 0
    }

    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The slots that a request has facts for.
    pub fn offered(request: &WordingRequest) -> Self {
        request.slots.iter().fold(Self::default(), |set, fact| set.with(fact.slot))
    }

    #[must_use]
    pub fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    pub fn is_apart_from(self, other: Self) -> bool {
        self.0 & other.0 == 0
    }

    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn slots(self) -> impl Iterator<Item = Slot> {
        Slot::ALL.into_iter().filter(move |slot| self.has(*slot))
    }
}
