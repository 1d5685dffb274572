//! From a direction to the messages that go out for it.
//!
//! Whether it may be said at all is the guard's affair, in which words the speaker's.

use std::sync::Arc;

use super::super::payload::{self, Origin, Words};
use super::Engine;
use crate::domain::direction::{Audience, Direction, DirectionState};
use crate::plan::OutputKind;
use crate::ports::Publication;

impl Engine {
    /// The messages of one direction, one for each output that addresses its audience. What may not
    /// be said takes down what the audience still sees: an old text must not outlive its facts.
    pub(super) fn publications(&mut self, mut direction: Direction) -> Vec<Publication> {
        let plan = Arc::clone(&self.plan);
        let closed = self.congestion.closed();
        let sayable = direction.state == DirectionState::Show
            && self.speaker.facts_hold(&direction, closed, &mut self.counts);
        let mut sent = Vec::new();
        for output in &plan.outputs {
            let (topic, qos, retain, max_chars, voice) = match (&output.kind, &direction.audience) {
                (OutputKind::Signs { topic, qos, retain }, Audience::Sign(id)) => {
                    let topic = topic.replace("{sign}", &plan.network.sign(*id).name);
                    (topic, *qos, *retain, 0, false)
                }
                (
                    OutputKind::Vehicles { topic, qos, retain, max_chars, voice },
                    Audience::Area { tile, part },
                ) => (
                    topic.replace("{tile}", tile).replace("{part}", part),
                    *qos,
                    *retain,
                    *max_chars,
                    *voice,
                ),
                _ => continue,
            };
            let mut said = Vec::new();
            if direction.state == DirectionState::Show {
                if sayable {
                    said = self.speaker.words(&direction, max_chars, &mut self.counts);
                }
                if said.is_empty() {
                    self.counts.withheld += 1;
                    direction.state = DirectionState::Clear;
                }
            } else {
                self.speaker.words(&direction, max_chars, &mut self.counts);
            }
            match direction.state {
                DirectionState::Show => self.counts.shown += 1,
                DirectionState::Clear => self.counts.cleared += 1,
            }
            let spoken = |said| voice.then(|| self.speaker.voice(said, &mut self.counts)).flatten();
            let voices: Vec<_> = said.iter().map(spoken).collect();
            let words = Words { said: &said, voices: &voices };
            let origin = Origin {
                pipeline: &plan.name,
                pipeline_hash: &plan.hash,
                network_hash: &plan.network.hash,
            };
            sent.push(Publication {
                ts: direction.ts,
                topic,
                payload: payload::direction(&plan.network, &direction, &words, &origin).into(),
                qos,
                retain,
                expiry: Some(direction.valid_until.since(direction.ts)),
            });
        }
        sent
    }
}
