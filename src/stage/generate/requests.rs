//! What a writer is asked: a direction's facts as slots, in a language, for a space.
//!
//! A fact that cannot be said safely (a name that is not unique on a sign, a name that does not
//! fit) is not offered, so that no writer can use it. Knows nothing of words beyond the slots, but
//! whether a template has any for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::crossings::Crossings;
use super::{SignFont, fill, multi, showable, template, width};
use crate::domain::direction::{Audience, Cause, Direction, Second};
use crate::domain::network::{Network, SegmentId, SignId, Turn, fold};
use crate::domain::time::Timestamp;
use crate::domain::wording::{Draft, Language, Problem, Slot, SlotFact, Space, WordingRequest};

/// A time of day further off than this could be one of another day.
const SOON: Duration = Duration::from_hours(12);

/// Whole minutes below this are left unsaid: they are within the estimate's error.
const MIN_MINUTES: u32 = 2;

/// Asks writers for words.
#[derive(Clone, Debug)]
pub struct Requests {
    network: Arc<Network>,
    crossings: Crossings,
    /// Folds that more than one name of the network has.
    ambiguous: BTreeSet<String>,
    /// `None`: no time of day is given.
    zone: Option<chrono_tz::Tz>,
    /// The fonts of signs that have one: their texts must fit dot by dot.
    fonts: Arc<BTreeMap<SignId, SignFont>>,
}

/// A fact's name, as it is and as it compares.
struct Name<'n> {
    text: &'n str,
    folded: String,
}

impl Requests {
    pub fn new(network: Arc<Network>) -> Self {
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for name in network.spoken_names() {
            *names.entry(fold(name)).or_default() += 1;
        }
        let ambiguous =
            names.into_iter().filter(|(_, count)| *count > 1).map(|(folded, _)| folded).collect();
        let (crossings, fonts) = (Crossings::of(&network), Arc::default());
        Self { network, crossings, ambiguous, zone: None, fonts }
    }

    /// Times of day are given by the clock of this zone.
    #[must_use]
    pub fn by_clock_of(mut self, zone: Option<chrono_tz::Tz>) -> Self {
        self.zone = zone;
        self
    }

    /// Signs that have a font are asked for what their dots have room for.
    #[must_use]
    pub fn in_fonts(mut self, fonts: Arc<BTreeMap<SignId, SignFont>>) -> Self {
        self.fonts = fonts;
        self
    }

    /// One request a language, in the order given.
    ///
    /// Offered are:
    /// - `Closed`: the street of the first segment to avoid;
    /// - `Via0`, `Via1`: the first two different streets of the segments to pass, without the
    ///   closed one and the addressed segments' own, which would tell a driver nothing;
    /// - `Dest`: the place, if it is called otherwise than those and there is a way or turn to say;
    /// - `Turn`: left, right or straight on; to vehicles only when they are on one segment, since
    ///   "the next junction" must be the same for all;
    /// - why the road is closed or has lanes shut, where its operator said so;
    /// - `Delay` rounded to whole minutes, `Saving` rounded down, from 2 minutes on, and no saving
    ///   beyond the delay;
    /// - `Until`, when a closed road is planned to open again, where that is within twelve hours;
    /// - `Since`, to vehicles, when it was closed or its lanes were shut, within twelve hours too;
    /// - `Lanes` that are shut, where the road has more;
    /// - `Between0`, `Between1`, to vehicles: the roads that cross a closed stretch at its ends, where the
    ///   closed road itself has to be named, if they are called otherwise than it and the place;
    /// - `AlsoClosed` or `AlsoQueue`, to vehicles: the road that is shut or full besides, where it is
    ///   called otherwise than all of the advised way and all else that is offered.
    ///
    /// Required are the advised road, or the turn where no road is offered; in vehicles the road
    /// with the trouble as well. Where the space is too small for that, the demands fall in this
    /// order until a template fits: the troubled road becomes optional, the advised roads are
    /// withdrawn, the turn is withdrawn. What is left is "problem, take another
    /// way"; only spaces that are [too small](Space::is_too_small), and signs whose dots have no room
    /// for as much, may have no text at all.
    pub fn of(
        &self,
        direction: &Direction,
        space: Space,
        languages: &[Language],
    ) -> Vec<WordingRequest> {
        languages.iter().map(|language| self.request(direction, space, *language)).collect()
    }

    fn request(&self, direction: &Direction, space: Space, language: Language) -> WordingRequest {
        let mut request = WordingRequest {
            language,
            problem: Problem::of(direction.cause, direction.level),
            reason: direction.announced.reason,
            slots: self.slots(direction, space, language),
            space,
            seed: seed(&direction.id, language),
        };
        for relax in [relax_closed, withdraw_way, withdraw_turn] {
            if template::has_text(&request, |draft| self.fits_font(direction, &request, draft)) {
                break;
            }
            relax(&mut request.slots);
        }
        // A destination is only ever said with the way to it.
        if request.slot(Slot::Via0).is_none() && request.slot(Slot::Turn).is_none() {
            request.slots.retain(|fact| fact.slot != Slot::Dest);
        }
        // Nor a stretch of a road without its name.
        if !request.slot(Slot::Closed).is_some_and(|fact| fact.required) {
            let ends = [Slot::Between0, Slot::Between1];
            request.slots.retain(|fact| !ends.contains(&fact.slot));
        }
        request
    }

    fn slots(&self, direction: &Direction, space: Space, language: Language) -> Vec<SlotFact> {
        let vehicle = matches!(space, Space::Vehicle { .. });
        let mut slots = Vec::new();
        let mut offer = |slot, text: String, required| {
            slots.push(SlotFact { slot, text, required });
        };
        let in_space =
            |name: &Name| if vehicle { name.text.to_owned() } else { name.folded.clone() };
        let font = self.font(direction);
        let sayable = |name: &Name| {
            self.sayable(name, space) && font.is_none_or(|font| font.check(&name.folded).is_ok())
        };

        let closed = direction.avoid.first().and_then(|s| self.street(s.0));
        let own = self.own_streets(direction);
        let mut taken = own.clone();
        let avoided = closed.as_ref().map(|name| name.folded.clone());
        if let Some(closed) = closed {
            if sayable(&closed) {
                offer(Slot::Closed, in_space(&closed), vehicle);
            }
            taken.insert(closed.folded);
        }
        // The streets to pass, each once. A street that cannot be said ends the list: what comes
        // after it would read as if it came first.
        let mut ways = Vec::new();
        // Whether the first is reached along a road that is called like the one to avoid.
        let mut along_avoided = false;
        for name in direction.via.iter().filter_map(|s| self.street(s.0)) {
            along_avoided |= ways.is_empty()
                && avoided.as_ref() == Some(&name.folded)
                && !own.contains(&name.folded);
            if taken.insert(name.folded.clone()) {
                ways.push(name);
            }
        }
        let named =
            ways.iter().take(2).take_while(|name| sayable(name) && !self.is_shut(direction, name));
        let mut has_way = false;
        for (name, slot) in named.zip([Slot::Via0, Slot::Via1]) {
            offer(slot, in_space(name), slot == Slot::Via0);
            has_way = true;
        }
        if let Some(place) = direction.destination.and_then(|i| self.network.places.get(i)) {
            let name = Name { text: &place.name, folded: fold(&place.name) };
            if !taken.contains(&name.folded) && sayable(&name) {
                offer(Slot::Dest, in_space(&name), false);
            }
        }
        let delay = direction.delay_s.map(|s| (s + 30) / 60);
        if let Some(minutes) = delay.filter(|m| *m >= MIN_MINUTES) {
            offer(Slot::Delay, in_unit(minutes, vehicle), false);
        }
        let saving = direction.saving_s.map(|s| s / 60).filter(|m| *m >= MIN_MINUTES);
        if let Some(minutes) = saving.filter(|m| delay.is_none_or(|delay| *m <= delay)) {
            offer(Slot::Saving, in_unit(minutes, vehicle), false);
        }
        let one_junction = !vehicle || direction.applies_on.len() == 1;
        // The turn into such a road would read as the turn into the one that is named.
        if let Some(word) = direction.turn.and_then(|t| turn_words(t, language))
            && one_junction
            && !(has_way && along_avoided)
        {
            let text = if vehicle { word.to_owned() } else { fold(word) };
            offer(Slot::Turn, text, !has_way);
        }
        self.told(direction, space, language, &mut slots);
        if vehicle && let Some((slot, text)) = self.second(direction, &slots) {
            slots.push(SlotFact { slot, text, required: false });
        }
        slots
    }

    /// Whether who follows the way along a road and then goes on along its name comes to what must be
    /// avoided.
    fn is_shut(&self, direction: &Direction, name: &Name<'_>) -> bool {
        // Where another spelling folds to the same, the name is not sayable at all.
        let is_it = |id: &SegmentId| {
            let segment = self.network.segments.get(id.0 as usize);
            segment.and_then(|segment| segment.street.as_deref()) == Some(name.text)
        };
        let mut open: Vec<SegmentId> =
            direction.way.iter().chain(&direction.via).copied().filter(is_it).collect();
        let mut seen: BTreeSet<SegmentId> = open.iter().copied().collect();
        while let Some(at) = open.pop() {
            if direction.avoid.contains(&at) {
                return true;
            }
            let onward = self.network.outgoing(at).iter().filter(|c| c.leads_on()).map(|c| c.to);
            open.extend(onward.filter(|to| is_it(to) && seen.insert(*to)));
        }
        false
    }

    /// The road that a driver had better not take by himself. One that is called like a road of the
    /// advised way would warn of that.
    fn second(&self, direction: &Direction, offered: &[SlotFact]) -> Option<(Slot, String)> {
        let Second { cause, segment } = direction.second?;
        let slot = match cause {
            Cause::Closure => Slot::AlsoClosed,
            Cause::Congestion => Slot::AlsoQueue,
            Cause::Incident => return None,
        };
        let name = self.street(segment.0)?;
        let mut taken = self.own_streets(direction);
        let named = direction.avoid.first().into_iter().chain(&direction.way);
        taken.extend(named.filter_map(|id| self.street(id.0)).map(|name| name.folded));
        let apart = !taken.contains(&name.folded)
            && offered.iter().all(|fact| fold(&fact.text) != name.folded);
        let sayable = self.sayable(&name, Space::Vehicle { max_chars: u16::MAX });
        (apart && sayable).then(|| (slot, name.text.to_owned()))
    }

    /// What the road's operator said, of a closure or of lanes that are shut.
    fn told(
        &self,
        direction: &Direction,
        space: Space,
        language: Language,
        slots: &mut Vec<SlotFact>,
    ) {
        let (told, now) = (direction.announced, direction.ts);
        let vehicle = matches!(space, Space::Vehicle { .. });
        let is_closure = direction.cause == Cause::Closure;
        let stretch = if vehicle && is_closure { self.between(direction, slots) } else { None };
        let mut offer = |slot, text| slots.push(SlotFact { slot, text, required: false });
        let soon = |until: &Timestamp| *until > now && until.since(now) <= SOON;
        let lately = |since: &Timestamp| *since < now && now.since(*since) <= SOON;
        if let Some(zone) = self.zone {
            let until = told.until.filter(|_| is_closure).filter(soon);
            if let Some(until) = until.and_then(|until| until.by_clock(zone)) {
                offer(Slot::Until, until);
            }
            let since = told.since.filter(|_| vehicle).filter(lately);
            if let Some(since) = since.and_then(|since| since.minute_by_clock(zone)) {
                offer(Slot::Since, since);
            }
        }
        if let Some([begin, end]) = stretch {
            offer(Slot::Between0, begin);
            offer(Slot::Between1, end);
        }
        let first = direction.avoid.first().map(|id| id.0 as usize);
        let all = first.and_then(|at| self.network.segments.get(at)).map_or(0, |s| s.lanes);
        let shut = told.lanes.filter(|_| direction.cause == Cause::Incident);
        if let Some(lanes) = shut.filter(|lanes| (1..u32::from(all)).contains(lanes)) {
            let text = language.lanes(lanes);
            offer(Slot::Lanes, if vehicle { text } else { fold(&text) });
        }
    }

    /// The names of two different roads that cross a closed stretch where it begins and ends, as
    /// vehicles may be told them. A way may begin with one of them, which is where drivers are led
    /// off; of anything else that is offered neither may have the name.
    fn between(&self, direction: &Direction, offered: &[SlotFact]) -> Option<[String; 2]> {
        let space = Space::Vehicle { max_chars: u16::MAX };
        let others = offered.iter().filter(|fact| {
            Slot::NAMES.contains(&fact.slot) && !matches!(fact.slot, Slot::Via0 | Slot::Via1)
        });
        let taken: BTreeSet<String> = others.map(|fact| fold(&fact.text)).collect();
        let sayable = |names: Vec<&str>| -> Vec<String> {
            let name = |text| Name { text, folded: fold(text) };
            let names = names.into_iter().map(name);
            names
                .filter(|name| !taken.contains(&name.folded) && self.sayable(name, space))
                .map(|name| name.text.to_owned())
                .collect()
        };
        let closed = direction.closed.iter().filter(|id| direction.avoid.first() != Some(id));
        let closed: Vec<SegmentId> =
            direction.avoid.first().into_iter().chain(closed).copied().collect();
        let [begin, end] = self.crossings.around(&self.network, &closed).map(sayable);
        let begin = begin.into_iter().next()?;
        let end = end.into_iter().find(|name| fold(name) != fold(&begin))?;
        Some([begin, end])
    }

    /// Folded streets of the addressed segments.
    fn own_streets(&self, direction: &Direction) -> BTreeSet<String> {
        let addressed = match &direction.audience {
            Audience::Sign(sign) => {
                self.network.signs.get(sign.0 as usize).map(|s| s.segment).into_iter().collect()
            }
            Audience::Area { .. } => direction.applies_on.clone(),
        };
        addressed.iter().filter_map(|s| self.street(s.0)).map(|name| name.folded).collect()
    }

    /// The font of the addressed sign, where it has one.
    fn font(&self, direction: &Direction) -> Option<&SignFont> {
        match &direction.audience {
            Audience::Sign(sign) => self.fonts.get(sign),
            Audience::Area { .. } => None,
        }
    }

    /// Whether a draft has room on the addressed sign dot by dot; where there is no font its rows and
    /// columns alone decide.
    fn fits_font(&self, direction: &Direction, request: &WordingRequest, draft: &Draft) -> bool {
        let (Audience::Sign(id), Some(font)) = (&direction.audience, self.font(direction)) else {
            return true;
        };
        let Some(sign) = self.network.signs.get(id.0 as usize) else { return true };
        fill(request, draft, "").is_ok_and(|wording| multi(&wording, sign, Some(font)).is_ok())
    }

    fn street(&self, segment: u32) -> Option<Name<'_>> {
        let text = self.network.segments.get(segment as usize)?.street.as_deref()?;
        Some(Name { text, folded: fold(text) })
    }

    fn sayable(&self, name: &Name, space: Space) -> bool {
        if name.folded.is_empty() || self.ambiguous.contains(&name.folded) {
            return false;
        }
        match space {
            // Digits on a sign count or are times, and belong to no name.
            Space::Sign { cols, .. } => {
                let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
                width(&name.folded) <= usize::from(cols)
                    // A letter that has no fold is lost; what is left may be another road's name.
                    && letters(&name.folded) >= letters(name.text)
                    && name.folded.chars().all(|c| showable(c) && !c.is_ascii_digit())
            }
            Space::Vehicle { .. } => {
                let plain = |c: char| c.is_alphanumeric() || " '\u{2019}-./&()".contains(c);
                let single_spaced = name.text.split(' ').all(|word| !word.is_empty());
                name.text.chars().all(plain) && single_spaced
            }
        }
    }
}

fn in_unit(minutes: u32, vehicle: bool) -> String {
    if vehicle { format!("{minutes} min") } else { format!("{minutes} MIN") }
}

fn turn_words(turn: Turn, language: Language) -> Option<&'static str> {
    Some(match (turn, language) {
        (Turn::Left | Turn::PartLeft, Language::En) => "left",
        (Turn::Left | Turn::PartLeft, Language::It) => "a sinistra",
        (Turn::Right | Turn::PartRight, Language::En) => "right",
        (Turn::Right | Turn::PartRight, Language::It) => "a destra",
        (Turn::Straight, Language::En) => "straight on",
        (Turn::Straight, Language::It) => "diritto",
        (Turn::Left | Turn::PartLeft, Language::De) => "links",
        (Turn::Right | Turn::PartRight, Language::De) => "rechts",
        (Turn::Straight, Language::De) => "geradeaus",
        (Turn::Left | Turn::PartLeft, Language::Fr) => "à gauche",
        (Turn::Right | Turn::PartRight, Language::Fr) => "à droite",
        (Turn::Straight, Language::Fr) => "tout droit",
        (Turn::Left | Turn::PartLeft, Language::Es) => "a la izquierda",
        (Turn::Right | Turn::PartRight, Language::Es) => "a la derecha",
        (Turn::Straight, Language::Es) => "recto",
        (Turn::TurnAround, _) => return None,
    })
}

#[expect(clippy::ptr_arg, reason = "one of several steps of one type")]
fn relax_closed(slots: &mut Vec<SlotFact>) {
    for fact in slots.iter_mut().filter(|fact| fact.slot == Slot::Closed) {
        fact.required = false;
    }
}

fn withdraw_way(slots: &mut Vec<SlotFact>) {
    slots.retain(|fact| !matches!(fact.slot, Slot::Via0 | Slot::Via1));
    for fact in slots.iter_mut().filter(|fact| fact.slot == Slot::Turn) {
        fact.required = true;
    }
}

fn withdraw_turn(slots: &mut Vec<SlotFact>) {
    slots.retain(|fact| fact.slot != Slot::Turn);
}

/// By id and language, not by revision: a renewed direction keeps its words, so that a sign does
/// not change before a driver's eyes when nothing has changed on the road.
pub fn seed(direction_id: &str, language: Language) -> u64 {
    let mut hash = Sha256::new();
    hash.update(direction_id.as_bytes());
    hash.update([0]);
    hash.update(language.code().as_bytes());
    hash.finalize().iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
