//! Quadkeys: the square map tiles that area directions are addressed by.
//!
//! Source: "Bing Maps Tile System" (Web Mercator tiles, latitude clipped to ±85.05112878°).

use std::f64::consts::PI;

use geo::{Coord, LineString};

/// Tiles of about 430 m in Bologna: a district's worth of directions to a subscription.
pub(super) const ZOOM: u32 = 16;

/// Digits 0 to 3, one a zoom level, north-west first.
pub fn quadkey(lon: f64, lat: f64, zoom: u32) -> String {
    let lat = lat.clamp(-85.051_128_78, 85.051_128_78).to_radians();
    let size = f64::from(1_u32 << zoom);
    let x = ((lon + 180.0) / 360.0 * size).clamp(0.0, size - 1.0) as u32;
    let y = ((1.0 - lat.tan().asinh() / PI) / 2.0 * size).clamp(0.0, size - 1.0) as u32;
    (0..zoom)
        .rev()
        .map(|bit| char::from(b'0' + ((x >> bit & 1) + 2 * (y >> bit & 1)) as u8))
        .collect()
}

/// The tile of the point half-way along the line's vertices' length.
pub(super) fn of_line(line: &LineString<f64>) -> String {
    use geo::line_measures::{Haversine, InterpolateLine};
    let middle = Haversine.point_at_ratio_from_start(line, 0.5);
    let Coord { x, y } = middle.map(Coord::from).or(line.0.first().copied()).unwrap_or_default();
    quadkey(x, y, ZOOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tiles() {
        // The tile system's own example: tile (3, 5) at level 3 has quadkey 213.
        let lon = (3.5 / 8.0) * 360.0 - 180.0;
        let lat = (PI * (1.0 - 2.0 * 5.5 / 8.0)).sinh().atan().to_degrees();
        assert_eq!(quadkey(lon, lat, 3), "213");
        assert_eq!(quadkey(-180.0, 90.0, 2), "00");
        assert_eq!(quadkey(180.0, -90.0, 2), "33");
    }

    #[test]
    fn tile_of_the_middle() {
        let line = LineString::from(vec![(11.0, 44.0), (11.02, 44.0)]);
        assert_eq!(of_line(&line), quadkey(11.01, 44.0, ZOOM));
    }
}
