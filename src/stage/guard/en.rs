//! English.
//!
//! On a sign the troubled road comes first, or after `on` in one row with the problem: a row ON VIA
//! ROMA above GO LEFT would say where to turn. An advised road stands behind a verb: QUEUES, OTHER
//! ROUTE, VIA ROMA would say where they are. And `avoid` never stands beside a turn: TO AVOID above GO
//! LEFT says the contrary of what is meant to who reads it in passing.
//! `slow` stands beside `traffic` or `cars`, never alone: SLOW on a sign is an order. The way that
//! the reader is on is `the usual way`, so that `this way` can be the advised one.

use super::phrases::{Phrases, Tongue};
use crate::domain::wording::Problem;

pub(super) const TONGUE: Tongue = Tongue {
    turns: &["left", "right", "straight on"],
    units: &["min", "minute", "minutes"],
    letters: "abcdefghijklmnopqrstuvwxyz",
    sign: Phrases {
        parts: &[
            ("other", "(other|another) (route|road|way)"),
            ("lead", "please|[at] next junction|at junction|way round|for {dest}"),
            ("road", "{via} [then {then}]"),
        ],
        problem: &[
            (
                Problem::RoadClosed,
                &[
                    "{closed} ([road] closed [ahead]|is closed|closed to traffic)",
                    "(road closed|closure) ~on {closed}",
                    "road (closed|shut) [ahead]",
                    "road ahead closed",
                    "closure ahead",
                ],
            ),
            (
                Problem::Incident,
                &["[{closed}] [traffic] incident [ahead]", "[traffic] incident ~on {closed}"],
            ),
            (
                Problem::Queue,
                &[
                    "[{closed}] (queue|queues|queuing traffic|traffic queuing) [ahead]",
                    "(queue|queues) ~on {closed}",
                ],
            ),
            (
                Problem::SlowTraffic,
                &[
                    "[{closed}] (slow traffic|traffic slow|slow cars) [ahead]",
                    "{closed} traffic is slow",
                    "slow traffic ~on {closed}",
                ],
            ),
            (
                Problem::HeavyTraffic,
                &[
                    "[{closed}] ((heavy|dense) traffic|traffic heavy) [ahead]",
                    "{closed} busy [ahead]",
                    "busy road [ahead]",
                    "(heavy|dense) traffic ~on {closed}",
                ],
            ),
        ],
        delay: &["[traffic|expect] delay [about|of] {delay}", "[expect] {delay} delay"],
        advice: &[
            "[please] (use|take|choose) @other",
            "other (route|way) advised",
            "avoid road",
            "[@lead] go {turn}",
            "[please|for {dest}] (use|take|follow) @road",
            "[@lead] go {turn} (to|then|and use) @road",
        ],
        saving: &["saves [about|you] {saving}", "{saving} (faster|less)"],
    },
    vehicle: Phrases {
        parts: &[
            ("on", "[ahead] on {closed}"),
            ("other", "(another|a different) (route|road|way)"),
            ("take", "use|take|follow"),
            ("turning", "go {turn} [at the next junction]|at the next junction , go {turn}"),
            ("lead", "please|for {dest} ,|it is better to|for {dest} , it is better to"),
            ("road", "{via} [(and|, then|and then) {then}]"),
        ],
        problem: &[
            (
                Problem::RoadClosed,
                &[
                    "[part of|a stretch of] {closed} is [now|currently] closed [to traffic] [ahead]",
                    "road closed ahead [on {closed}]",
                    "[there is a [road]] closure @on",
                    "[there is a [road]] closure ahead",
                    "the road is closed @on",
                    "the road ahead is [now] closed",
                    "a road [on the way] ahead is closed",
                ],
            ),
            (
                Problem::Incident,
                &[
                    "[there is an] incident @on",
                    "an incident is (affecting [traffic on]|holding up traffic on) {closed}",
                    "traffic on {closed} is affected by an incident",
                    "because of an incident , traffic is disrupted on {closed}",
                    "incident ahead",
                    "there is an incident [on the road] ahead",
                    "an incident is affecting [the] traffic ahead",
                    "traffic ahead is affected by an incident",
                ],
            ),
            (
                Problem::Queue,
                &[
                    "(queue|queues|queuing traffic) @on",
                    "there (is a queue [of traffic]|are queues) @on",
                    "there (is a queue [of traffic]|are queues) [on the road] ahead",
                    "traffic is [now] queuing @on",
                    "traffic [on {closed}] is [now] queuing ahead",
                    "{closed} has [traffic] queues ahead",
                    "(queue|queues|queuing traffic) ahead",
                ],
            ),
            (
                Problem::SlowTraffic,
                &[
                    "[there is] slow traffic @on",
                    "[there is] slow traffic [on the road] ahead",
                    "traffic is ([now] slow|moving slowly) @on",
                    "traffic [on {closed}] is ([now] slow|moving slowly) ahead",
                    "{closed} has slow traffic ahead",
                ],
            ),
            (
                Problem::HeavyTraffic,
                &[
                    "[there is] (heavy|dense) traffic @on",
                    "[there is] (heavy|dense) traffic [on the road] ahead",
                    "traffic is [now] (heavy|dense) @on",
                    "traffic [on {closed}] is [now] (heavy|dense) ahead",
                    "{closed} has (heavy|dense) traffic ahead",
                    "the road ahead is [now] busy",
                    "{closed} is [now] busy [ahead]",
                    "it is [now] busy on {closed}",
                ],
            ),
        ],
        delay: &[
            "expect a delay of [about] {delay}",
            "the delay [there] is [now|currently] [about] {delay}",
            "delay [of] [about] {delay}",
            "you would lose [about] {delay} there",
            "the usual way takes [about] {delay} longer",
            "drivers there lose [about] {delay}",
        ],
        advice: &[
            "[please|it is better to|it is advised to] (use|take|choose) @other",
            "@other is (advised|the better choice)",
            "we advise @other",
            "[@lead] @turning",
            "at the next junction , go {turn} for {dest}",
            "the (advised way|other route|way round) goes {turn} at the [next] junction",
            "at the next junction , the way round goes {turn}",
            "[@lead] (@take) @road",
            "[please] use {via} instead",
            "the (advised|other) (way|route) is {via} [, then {then}]",
            "the way round is {via}",
            "{via} is the (advised|better) (way|route)",
            "[for {dest} ,] @turning (, [then]|and) (@take) @road",
            "the advised way goes {turn} at the next junction to {via}",
        ],
        saving: &[
            "this [way] saves [you] [about] {saving} [of travel time]",
            "this way you save [about] {saving}",
            "(that|the other|the advised) way is [about] {saving} faster",
            "it is [about] {saving} faster than the usual way",
        ],
    },
};
