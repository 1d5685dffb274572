//! How windows lie in event time: sizes, zones, sessions.

use std::time::Duration;

use crate::plan::{ColumnKind, Shape};

use super::super::raw::{self, default};
use super::super::read::{At, Interval, listed, nearest};
use super::super::tree;
use super::sources::CheckedSource;
use super::{Bounds, Checker};

const SIZE: Bounds = Bounds("1s", "24h");
const GAP: Bounds = Bounds("1s", "6h");
/// Parts that a hopping window is put together from, each time that one closes: an hour by seconds.
const MAX_PARTS: u32 = 3_600;
const DAY: Duration = Duration::from_hours(24);

impl Checker<'_> {
    /// The shape of a window over this source, which is the first one where there are two.
    pub(super) fn shape(
        &mut self,
        name: &At<String>,
        raw: &raw::Window,
        source: Option<&CheckedSource>,
    ) -> Option<Shape> {
        match (&raw.size, &raw.session) {
            (Some(size), None) => self.slots(&size.readable()?, raw),
            (None, Some(session)) => self.session(session.value.0.as_ref()?, raw, source),
            (Some(_), Some(session)) => {
                self.findings
                    .error(&session.span, "a window has a `size` or a `session`, not both")
                    .help("sessions are as long as their readings keep coming: leave `size` out");
                None
            }
            (None, None) => {
                self.findings
                    .error(&name.span, format!("`{}` has no `size`", tree::excerpt(name)))
                    .help("write `size: 60s`, or `session: { gap: 2m }`");
                None
            }
        }
    }

    fn slots(&mut self, size: &At<Interval>, raw: &raw::Window) -> Option<Shape> {
        let size = self.within(size, &SIZE);
        let every = raw.every.as_ref().map(|every| self.within(every, &SIZE));
        if let (Some(every), Some(at)) = (every, &raw.every)
            && !every.is_zero()
            && (every > size || !size.as_millis().is_multiple_of(every.as_millis()))
        {
            let what =
                format!("`every: {}` does not divide `size: {}`", Interval(every), Interval(size));
            let seconds = size.as_secs();
            let near = (1..=seconds)
                .filter(|s| seconds.is_multiple_of(*s))
                .min_by_key(|s| (s.abs_diff(every.as_secs()), *s))
                .map(|s| Interval(Duration::from_secs(s)).to_string());
            self.findings.error(&at.span, what).did_you_mean(near.as_deref()).help(
                "hopping windows share their parts, so a window must be a whole number of them",
            );
        } else if let (Some(every), Some(at)) = (every, &raw.every)
            && size > every * MAX_PARTS
        {
            let parts = size.as_millis() / every.as_millis();
            let what = format!("`size: {}` would have {parts} parts", Interval(size));
            let whole = |parts: &u32| size.as_millis().is_multiple_of(u128::from(*parts));
            let most = (1..=MAX_PARTS).rev().find(whole);
            let near = most.map(|parts| Interval(size / parts).to_string());
            self.findings.error(&at.span, what).did_you_mean(near.as_deref()).help(format!(
                "a window is put together from its parts every {}: from {MAX_PARTS} of them at most",
                Interval(every)
            ));
        }
        let every = every.unwrap_or(size);
        let zone = match &raw.zone {
            Some(zone) => Some(self.zone(zone, every)?),
            None => None,
        };
        Some(Shape::Slots { size, every, zone })
    }

    pub(super) fn known_zone(&mut self, zone: &At<String>) -> Option<chrono_tz::Tz> {
        let known = zone.parse::<chrono_tz::Tz>().ok();
        if known.is_none() {
            let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            self.findings
                .error(&zone.span, format!("there is no time zone `{}`", tree::excerpt(zone)))
                .did_you_mean(nearest(zone, names))
                .help("IANA names, such as Europe/Rome");
        }
        known
    }

    fn zone(&mut self, zone: &At<String>, every: Duration) -> Option<chrono_tz::Tz> {
        let known = self.known_zone(zone)?;
        if every.is_zero() || !DAY.as_millis().is_multiple_of(every.as_millis()) {
            let what = format!("windows every {} do not divide a local day", Interval(every));
            self.findings
                .error(&zone.span, what)
                .help("with a `zone`, `every` (else `size`) must divide 24h");
            return None;
        }
        Some(known)
    }

    fn session(
        &mut self,
        session: &raw::Session,
        raw: &raw::Window,
        source: Option<&CheckedSource>,
    ) -> Option<Shape> {
        let on_a_grid = raw.every.as_ref().map(|at| &at.span);
        for span in on_a_grid.into_iter().chain(raw.zone.as_ref().map(|at| &at.span)) {
            self.findings
                .error(span, "sessions begin with their first reading, not on a grid")
                .help("leave `every` and `zone` out");
        }
        let gap = session.gap.0.as_ref().map(|gap| self.within(gap, &GAP));
        let longest = self.interval(session.longest.as_ref(), default::LONGEST, &SIZE);
        if let (Some(gap), Some(at)) = (gap, &session.longest)
            && longest < gap
        {
            self.findings
                .error(&at.span, format!("`longest` is shorter than the gap of {}", Interval(gap)))
                .help("a session lasts at least as long as the silence that ends it");
        }
        let source = source?;
        let mapping = source.mapping.as_ref()?;
        let by = session.by.as_ref().map(|by| by.value.clone()).or_else(|| source.group());
        let Some(by) = by else {
            self.findings
                .error(&source.name.span, "its sessions have no column to go by")
                .help("write `session: { gap: 2m, by: sensor_id }`");
            return None;
        };
        let labels = |kind| matches!(kind, ColumnKind::Text | ColumnKind::Integer);
        let fits: Vec<&str> =
            mapping.columns.iter().filter(|c| labels(c.kind)).map(|c| c.name.as_str()).collect();
        if let Some(at) = session.by.as_ref().filter(|by| !fits.contains(&by.as_str())) {
            self.findings
                .error(&at.span, format!("there is no column `{}` to go by", tree::excerpt(at)))
                .did_you_mean(nearest(at, fits.iter().copied()))
                .help(format!("columns of texts and whole numbers are {}", listed(&fits)));
            return None;
        }
        Some(Shape::Session { gap: gap?, by, longest })
    }
}
