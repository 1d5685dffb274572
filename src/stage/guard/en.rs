//! English.
//!
//! On a sign the troubled road comes first, or after `on` in one row with the problem: a row ON VIA
//! ROMA above GO LEFT would say where to turn. An advised road stands behind a verb: QUEUES, OTHER
//! ROUTE, VIA ROMA would say where they are. And `avoid` never stands beside a turn: TO AVOID above GO
//! LEFT says the contrary of what is meant to who reads it in passing.
//! `slow` stands beside `traffic` or `cars`, never alone: SLOW on a sign is an order. The way that
//! the reader is on is `the usual way`, so that `this way` can be the advised one.

use super::phrases::{Phrases, Tongue};
use crate::domain::closure::Reason;
use crate::domain::wording::Problem;

pub(super) const TONGUE: Tongue = Tongue {
    turns: &["left", "right", "straight on"],
    units: &["min", "minute", "minutes"],
    letters: "abcdefghijklmnopqrstuvwxyz",
    nouns: &[],
    sign: Phrases {
        parts: &[
            ("other", "(other|another) (route|road|way)"),
            ("best", "please|best to|better to"),
            ("lead", "@best|[at] next junction|at junction|way round|for {dest} [@best]"),
            ("road", "{via} [then {then}]"),
        ],
        problem: &[
            (
                Problem::RoadClosed,
                &[
                    "{closed} ([road] closed [ahead]|is closed|closed to traffic|road shut)",
                    "(road closed|closure) ~on {closed}",
                    "road (closed|shut) [ahead]",
                    "road ahead closed",
                    "closure ahead",
                ],
            ),
            (
                Problem::Incident,
                &[
                    "[{closed}] [traffic] incident [ahead|reported]",
                    "[traffic] incident ~on {closed}",
                ],
            ),
            (
                Problem::Queue,
                &[
                    "[{closed}] (queue|queues|queuing (traffic|cars)|(traffic|cars) queuing) [ahead]",
                    "(queue|queues) ~on {closed}",
                ],
            ),
            (
                Problem::SlowTraffic,
                &[
                    "[{closed}] (slow traffic|traffic slow|slow cars) [ahead]",
                    "{closed} (traffic is slow|moving slowly)",
                    "(traffic|cars) moving slowly",
                    "slow traffic ~on {closed}",
                ],
            ),
            (
                Problem::HeavyTraffic,
                &[
                    "[{closed}] ((heavy|dense) traffic|traffic heavy) [ahead]",
                    "{closed} busy [ahead]",
                    "(busy road|road busy) [ahead]",
                    "(heavy|dense) traffic ~on {closed}",
                ],
            ),
        ],
        reason: &[
            (Reason::Roadworks, &["[due to] roadworks", "works (on the road|in progress)"]),
            (Reason::Accident, &["accident", "(due to|after) ([an] accident|a crash)"]),
            (Reason::Flooding, &["[due to] flooding", "road flooded", "water on the road"]),
            (Reason::Event, &["event [in progress]", "due to an event"]),
            (Reason::Fog, &["[due to] fog", "fog on the road", "foggy road"]),
            (Reason::Ice, &["[due to] ice", "ice on the road", "icy road"]),
            (Reason::Snow, &["[due to] snow", "snow on the road", "snowy road"]),
            (Reason::Wind, &["[due to] (wind|(high|strong) winds)"]),
        ],
        until: &[
            "(until|till) [about] {until}",
            "(expected|planned) until {until}",
            "reopens [about] {until}",
        ],
        delay: &[
            "[traffic|expect] (delay|delays) [about|of] {delay}",
            "[expect] {delay} (delay|delays)",
            "(time lost|extra time) {delay}",
            "allow {delay} extra",
        ],
        advice: &[
            "[@best] (use|take|choose|find) @other",
            "other (route|way) advised",
            "[best to] avoid road",
            "[@lead] go {turn}",
            "way round goes {turn}",
            "go {turn} [to {via}] for {dest}",
            "[for {dest}] [@best] (use|take|follow|drive along) @road",
            "way round is @road",
            "(use|take|follow) {via} for {dest}",
            "[@lead] go {turn} (to|then|and use) @road",
        ],
        saving: &[
            "(saves|saving|time saved) [about] {saving}",
            "saves you {saving}",
            "saving of {saving}",
            "[about] {saving} (faster|less|quicker|sooner|saved)",
            "arrive {saving} sooner",
        ],
    },
    vehicle: Phrases {
        parts: &[
            ("on", "[ahead] on {closed}"),
            ("onward", "[ahead] on {closed}|[on the road] ahead"),
            ("now", "now|currently"),
            ("other", "(another|a different) (route|road|way)"),
            ("take", "use|take|follow"),
            ("junction", "at the next junction"),
            ("for", "for {dest} ,|if you are heading for {dest} ,"),
            (
                "better",
                "please|it is better to|it is advised to|we advise you to|you are advised to",
            ),
            ("turning", "[@better] go {turn} [@junction]|@junction , [please] go {turn}"),
            ("road", "{via} [(and|, then|and then) {then}]"),
        ],
        problem: &[
            (
                Problem::RoadClosed,
                &[
                    "[part of|a stretch of] {closed} is [@now] (closed|shut) [to traffic] [ahead]",
                    "road closed ahead [on {closed}]",
                    "[there is a [road]] closure (@on|ahead)",
                    "a closure is in place (@on|ahead)",
                    "the road is (closed|shut) @on",
                    "[part of|a stretch of] the road ahead is [@now] (closed|shut) [to traffic]",
                    "a road [on the way] ahead is closed",
                ],
            ),
            (
                Problem::Incident,
                &[
                    "[there is an] incident (@on|ahead)",
                    "there is an incident on the road ahead",
                    "an incident has (been reported|happened) @onward",
                    "an incident is affecting {closed}",
                    "an incident is (affecting|holding up|disrupting) [the] traffic (@on|ahead)",
                    "traffic (on {closed}|ahead) is [@now] (affected|disrupted) by an incident",
                    "{closed} is [@now] affected by an incident",
                    "(because of|due to) an incident , traffic is disrupted (@on|ahead)",
                ],
            ),
            (
                Problem::Queue,
                &[
                    "(queue|queues|queuing traffic) (@on|ahead)",
                    "there (is a queue [of traffic]|are queues) @onward",
                    "traffic is [now] queuing (@on|ahead)",
                    "traffic on {closed} is [now] queuing ahead",
                    "{closed} has [traffic] queues ahead",
                    "a queue has formed (@on|ahead)",
                    "(cars|vehicles) are [now] queuing (@on|ahead)",
                ],
            ),
            (
                Problem::SlowTraffic,
                &[
                    "[there is] slow traffic @onward",
                    "traffic is ([now] slow|moving slowly) (@on|ahead)",
                    "traffic on {closed} is ([now] slow|moving slowly) ahead",
                    "traffic on the road ahead is ([now] slow|moving slowly)",
                    "{closed} has slow traffic ahead",
                    "(cars|vehicles) are moving slowly (@on|ahead)",
                    "progress is [@now] slow (@on|ahead)",
                    "slow going (@on|ahead)",
                ],
            ),
            (
                Problem::HeavyTraffic,
                &[
                    "[there is] (heavy|dense) traffic @onward",
                    "traffic is [@now] (heavy|dense) (@onward)",
                    "traffic on {closed} is [now] (heavy|dense) ahead",
                    "traffic on the road ahead is [now] (heavy|dense)",
                    "{closed} has (heavy|dense) traffic ahead",
                    "(heavy|dense) traffic is reported (@on|ahead)",
                    "the road ahead is [now] busy",
                    "the road is busy @on",
                    "a busy road lies ahead",
                    "{closed} is [now] busy [ahead]",
                    "it is [now] busy on ({closed}|the road ahead)",
                ],
            ),
        ],
        reason: &[
            (
                Reason::Roadworks,
                &[
                    "(the reason is|this is due to [ongoing]) roadworks",
                    "roadworks are (in progress|under way) there",
                    "there are roadworks (there|on that road)",
                    "the road is [@now] being repaired",
                ],
            ),
            (
                Reason::Accident,
                &[
                    "(the reason is|this is due to) (an accident|a crash)",
                    "this follows an accident [on that road]",
                    "there has been (an accident|a crash) (there|on that road)",
                    "(an accident|a crash) has (happened|been reported) there",
                ],
            ),
            (
                Reason::Flooding,
                &[
                    "(the reason is|this is due to) flooding",
                    "flooding has been reported there",
                    "the road there is [@now] flooded",
                    "that part of the road is [@now] under water",
                    "[flood] water is lying on the road",
                    "water (covers|has covered) the road there",
                ],
            ),
            (
                Reason::Event,
                &[
                    "(the reason is|this is due to) (an|a public) event",
                    "(an|a public) event is (taking place there|being held on that road)",
                    "the road is [@now] being used for an event",
                    "that road is hosting an event",
                ],
            ),
            (
                Reason::Fog,
                &[
                    "(the reason is|this is due to [the]) fog",
                    "there is fog on that road",
                    "fog is lying over the road",
                    "the road there is foggy",
                    "fog has been reported there",
                ],
            ),
            (
                Reason::Ice,
                &[
                    "the reason is ice on the road",
                    "this is due to ice",
                    "there is ice on that road",
                    "the road [surface] there is (icy|frozen)",
                    "ice has formed (there|on the road)",
                    "ice has been reported there",
                ],
            ),
            (
                Reason::Snow,
                &[
                    "(the reason is|this is due to [the]) snow",
                    "there is snow on that road",
                    "snow is lying on the road",
                    "snow has fallen there",
                    "snow (covers|has covered) the road there",
                    "the road there is (snowy|covered in snow)",
                ],
            ),
            (
                Reason::Wind,
                &[
                    "(the reason is|this is due to) (high|strong) winds",
                    "(high|strong) winds are blowing there",
                    "a strong wind is blowing across the road",
                    "there are strong gusts [of wind] on that road",
                    "gusts of wind are sweeping the road",
                ],
            ),
        ],
        until: &[
            "(this is expected to|it (should|is expected to)) last until [about] {until}",
            "it is planned until [about] {until}",
            "the road (should|is expected to) reopen at [about] {until}",
            "expect this until [about] {until}",
            "until [about] {until}",
        ],
        delay: &[
            "expect a delay of [about] {delay}",
            "expect [about] {delay} of delay",
            "expect to lose [about] {delay} there",
            "the delay [there] is [@now] [about] {delay}",
            "time lost there is [@now] [about] {delay}",
            "delay [of] [about] {delay}",
            "[on the usual way] you would lose [about] {delay} there",
            "on the usual way you would lose [about] {delay}",
            "the usual way takes [about] {delay} longer",
            "allow [about] {delay} more for the usual way",
            "drivers there lose [about] {delay}",
            "journeys there take [about] {delay} longer",
            "traffic there is delayed by [about] {delay}",
            "that adds [about] {delay} to the journey",
        ],
        advice: &[
            "[@better] (use|take|choose) @other",
            "it would be better to (use|take|choose) @other",
            "@other (is (advised|the better choice)|would be better)",
            "the better choice is @other",
            "(we advise|consider) @other",
            "[@for] @turning",
            "@junction , it is better to go {turn}",
            "when you reach the next junction , go {turn}",
            "[@junction ,] go {turn} [@junction] for {dest}",
            "[@for] the (advised|better|other) (way|route) goes {turn} at the [next] junction",
            "the (advised|better) way for {dest} goes {turn} @junction",
            "[@for] the way round goes {turn} at the [next] junction",
            "@junction , the (way round|(advised|better) way) goes {turn}",
            "[@for] [@better] (@take|drive along) @road",
            "[@for] we advise {via}",
            "[please] (@take) {via} for {dest}",
            "[please] use {via} instead",
            "[@for] the (advised|better|other) (way|route) is {via} [, then {then}]",
            "the (advised|better|other) way for {dest} is {via} [, then {then}]",
            "a better way leads along {via}",
            "the way round is {via}",
            "{via} is the (advised|better) (way|route) [for {dest}]",
            "{via} would be the better choice",
            "[@for] @turning (, [then]|and) (@take) @road",
            "@junction , go {turn} for {dest} , then (@take) {via}",
            "[@for] the advised way goes {turn} @junction (to {via}|and follows {via} [, then {then}])",
        ],
        saving: &[
            "this [way] saves [you] [about] {saving} [of travel time]",
            "it saves [about] {saving}",
            "this way you (save [about] {saving}|arrive [about] {saving} sooner)",
            "you save [about] {saving} this way",
            "you arrive [about] {saving} sooner",
            "the saving is [about] {saving}",
            "this shortens the journey by [about] {saving}",
            "the journey is then [about] {saving} shorter",
            "that way gains you [about] {saving}",
            "(that|the other|the advised) way is [about] {saving} faster",
            "it is [about] {saving} faster than the usual way",
        ],
    },
};
