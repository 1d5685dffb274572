//! Proposing what was meant, and listing what there is.

/// The known word that is most like `word`, if any is like it at all. The first of equals.
pub(in crate::config) fn nearest<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let lower = word.to_lowercase();
    // A third of the letters may differ: `latenes` is lateness, `color` is not `colliding`.
    let most = (word.chars().count() / 3).max(1);
    let distance = |k: &str| strsim::damerau_levenshtein(&lower, &k.to_lowercase());
    known
        .into_iter()
        .map(|k| (distance(k), k))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// `a`, `b`, `c`
pub(in crate::config) fn listed<S: AsRef<str>>(words: &[S]) -> String {
    let most = 20;
    let quoted: Vec<String> =
        words.iter().take(most).map(|word| format!("`{}`", word.as_ref())).collect();
    match words.len().saturating_sub(most) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_words() {
        let known = ["lateness", "idle_after", "field", "every"];
        assert_eq!(nearest("latenes", known), Some("lateness"));
        assert_eq!(nearest("Lateness", known), Some("lateness"));
        assert_eq!(nearest("idle-after", known), Some("idle_after"));
        assert_eq!(nearest("colour", known), None);
    }
}
