//! The known name nearest to a misspelt one, for `did you mean …?`.

/// The name of `known` that needs the fewest changes to become `name`, if that is few enough to be
/// a misspelling: a third of the name, at most 4.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements from one word to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_word_and_another_word_finds_none() {
        let known = ["listen", "memory_budget", "limits.max_connections"];
        assert_eq!(nearest("listn", known), Some("listen"));
        assert_eq!(nearest("limits.max_conections", known), Some("limits.max_connections"));
        assert_eq!(nearest("memory-budget", known), Some("memory_budget"));
        assert_eq!(nearest("service_host", known), None);
        assert_eq!(nearest("", known), None);
    }
}
