//! Which namespaces of a cluster reports may see: the one place where `scope` is decided.

use crate::crd::NamePatterns;

/// Names that an include pattern matches and no exclude pattern does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameFilter {
    include: Vec<String>,
    exclude: Vec<String>,
}

impl NameFilter {
    #[must_use]
    pub fn new(patterns: &NamePatterns) -> Self {
        Self {
            include: patterns.include.clone(),
            exclude: patterns.exclude.clone(),
        }
    }

    #[must_use]
    pub fn includes(&self, name: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, name));
        any(&self.include) && !any(&self.exclude)
    }

    /// Whether it may leave a name out.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        !self.exclude.is_empty()
            || !self
                .include
                .iter()
                .any(|pattern| pattern.bytes().all(|byte| byte == b'*'))
    }
}

/// Whether a pattern, in which `*` stands for any characters, matches the whole name.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((prefix, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(prefix) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let Some(suffix) = parts.pop() else {
        return true;
    };
    for part in parts {
        let Some(at) = name.find(part) else {
            return false;
        };
        name = &name[at + part.len()..];
    }
    name.ends_with(suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "team-a", true),
            ("team-a", "team-a", true),
            ("team-a", "team-ab", false),
            ("team-*", "team-", true),
            ("team-*", "a-team-b", false),
            ("*-prod", "shop-prod", true),
            ("*-prod", "shop-prod-2", false),
            ("a*b*c", "axbxc", true),
            ("a*b*c", "axc", false),
            ("ab*ba", "aba", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn an_exclude_wins_over_an_include() {
        let filter = |include: &[&str], exclude: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            NameFilter::new(&NamePatterns {
                include: owned(include),
                exclude: owned(exclude),
            })
        };
        let all = filter(&["*"], &[]);
        assert!(all.includes("kube-system") && !all.is_limited());
        let most = filter(&["*"], &["kube-*"]);
        assert!(!most.includes("kube-system") && most.includes("shop") && most.is_limited());
        let none = filter(&[], &[]);
        assert!(!none.includes("shop") && none.is_limited());
    }
}
