//! English.

use super::Phrases;
use crate::domain::closure::Reason;
use crate::domain::wording::Problem;

pub(super) fn sign(problem: Problem, reason: Option<Reason>) -> Phrases {
    Phrases {
        problem: match problem {
            Problem::RoadClosed => &[
                "<CLOSED_0> / closed ahead",
                "<CLOSED_0> / closed",
                "<CLOSED_0> closed",
                "road closed ahead",
                "road closed",
                "road shut",
            ],
            Problem::Incident => &[
                "<CLOSED_0> / incident",
                "incident on <CLOSED_0>",
                "<CLOSED_0> incident",
                "incident ahead",
                "incident",
            ],
            Problem::Queue => &[
                "<CLOSED_0> / queues",
                "queues on <CLOSED_0>",
                "<CLOSED_0> queues",
                "queues ahead",
                "queues",
            ],
            Problem::SlowTraffic => {
                &["<CLOSED_0> / slow traffic", "slow traffic ahead", "slow traffic", "slow cars"]
            }
            Problem::HeavyTraffic => &[
                "<CLOSED_0> / heavy traffic",
                "<CLOSED_0> busy",
                "heavy traffic ahead",
                "heavy traffic",
                "busy road",
            ],
        },
        between: &[],
        lanes: &["<LANES> blocked", "<LANES> / blocked"],
        reason: match reason {
            None => &[],
            Some(Reason::Roadworks) => &["roadworks"],
            Some(Reason::Accident) => &["accident"],
            Some(Reason::Flooding) => &["flooding"],
            Some(Reason::Event) => &["event"],
            Some(Reason::Fog) => &["fog"],
            Some(Reason::Ice) => &["ice on the road", "ice"],
            Some(Reason::Snow) => &["snow"],
            Some(Reason::Wind) => &["high winds", "wind"],
        },
        since: &[],
        until: &["until about <UNTIL>", "until <UNTIL>"],
        delay: &["delay <DELAY>", "delay / <DELAY>"],
        also_closed: &[],
        also_queue: &[],
        saving: &["saves <SAVING>", "saves / <SAVING>"],
        other_route: &["use other route", "use other / route", "avoid road"],
        turn: &["next junction / go <TURN>", "for <DEST_0> / go <TURN>", "go <TURN>"],
        via: &[
            "use <VIA_0>",
            "use / <VIA_0>",
            "use <VIA_0> / then <VIA_1>",
            "for <DEST_0> / use <VIA_0>",
            "for <DEST_0> / use / <VIA_0>",
            "go <TURN> / to <VIA_0>",
        ],
    }
}

pub(super) fn vehicle(problem: Problem, reason: Option<Reason>) -> Phrases {
    Phrases {
        problem: match problem {
            Problem::RoadClosed => &["<CLOSED_0> is closed ahead.", "road closed ahead."],
            Problem::Incident => &["incident ahead on <CLOSED_0>.", "incident ahead."],
            Problem::Queue => &["queues ahead on <CLOSED_0>.", "queues ahead."],
            Problem::SlowTraffic => &["slow traffic ahead on <CLOSED_0>.", "slow traffic ahead."],
            Problem::HeavyTraffic => {
                &["heavy traffic ahead on <CLOSED_0>.", "heavy traffic ahead."]
            }
        },
        between: &["between <BETWEEN_0> and <BETWEEN_1>."],
        lanes: &["<LANES> blocked."],
        reason: match reason {
            None => &[],
            Some(Reason::Roadworks) => &["the reason is roadworks."],
            Some(Reason::Accident) => &["the reason is an accident."],
            Some(Reason::Flooding) => &["the reason is flooding."],
            Some(Reason::Event) => &["the reason is an event."],
            Some(Reason::Fog) => &["the reason is fog."],
            Some(Reason::Ice) => &["the reason is ice on the road."],
            Some(Reason::Snow) => &["the reason is snow."],
            Some(Reason::Wind) => &["the reason is high winds."],
        },
        since: &["since <SINCE>."],
        until: &["from <SINCE> until about <UNTIL>.", "until about <UNTIL>."],
        delay: &["expect a delay of about <DELAY>.", "delay about <DELAY>."],
        also_closed: &["besides, <ALSO_CLOSED> is closed."],
        also_queue: &["besides, there are queues on <ALSO_QUEUE>."],
        saving: &["this saves about <SAVING>."],
        other_route: &["another route is advised.", "use another route."],
        turn: &[
            "at the next junction, go <TURN>.",
            "for <DEST_0>, go <TURN> at the next junction.",
        ],
        via: &[
            "use <VIA_0>.",
            "use <VIA_0> and then <VIA_1>.",
            "for <DEST_0>, use <VIA_0>.",
            "for <DEST_0>, use <VIA_0> and then <VIA_1>.",
            "go <TURN> at the next junction, then take <VIA_0>.",
            "for <DEST_0>, go <TURN> at the next junction, then take <VIA_0>.",
        ],
    }
}
