use jiff::Timestamp;

use crate::{
    cluster::Lifecycle,
    crd::{
        Conditions, ImageUsageReportStatus, QueriedImage, ReportWindow, Summary, TagLine, Truncated, Verdict,
        condition_type,
    },
    image::Reference,
};

use super::{
    ClusterEvidence, Evidence, Matched, Question, Range, RegistryEvidence, Subject, TagHistory, coverage,
    deployments,
    deployments::count,
    events::{self, KnownClients},
    verdict,
};

/// The whole answer, with uncut lists: everything a report's status says.
#[must_use]
pub fn report(
    question: &Question,
    evidence: &Evidence,
    previous: &ImageUsageReportStatus,
    generation: i64,
    now: Timestamp,
) -> ImageUsageReportStatus {
    let history = TagHistory::new(evidence.registry.pointers());
    let known = KnownClients::new(&evidence.clusters);
    let mut matched = matched(&question.subject, &history, &evidence.clusters);
    let (value, reasons) = verdict::judge(&question.subject, &history, evidence, &known, &matched);
    deployments::without_shadows(&mut matched);

    let mut summary = summary(evidence, &matched);
    summary.last_in_use = last_in_use(&question.subject, &history, evidence, &matched, now);
    let mut lines = Vec::new();
    let mut more_events = 0;
    if let RegistryEvidence::Events(events) = &evidence.registry
        && !events.sources.is_empty()
    {
        events::summarise(&mut summary, events, &question.filter, &known);
        lines = events::lines(events, &known, &question.subject);
        let shown = count(lines.len());
        let counted = [
            summary.pushes,
            summary.pulls,
            summary.shared_pulls,
            summary.deletes,
        ];
        more_events = (counted.into_iter().flatten().sum::<i64>() - shown).max(0);
    }

    let mut entries = coverage::of_clusters(evidence);
    entries.extend(coverage::of_registry(&evidence.registry, question, &history, now));
    let clusters_complete = coverage::clusters_complete(evidence);
    let events_complete = coverage::events_complete(&evidence.registry, question, now);
    let conditions = Conditions::new(&previous.conditions, Some(generation), now)
        .set(condition_type::READY, true, "Computed", "the answer is current")
        .set(
            condition_type::CLUSTERS_COMPLETE,
            clusters_complete.status,
            clusters_complete.reason,
            clusters_complete.message,
        )
        .set(
            condition_type::EVENTS_COMPLETE,
            events_complete.status,
            events_complete.reason,
            events_complete.message,
        )
        .build();
    let window = question.range.window(now);
    ImageUsageReportStatus {
        observed_generation: generation,
        conditions,
        image: Some(queried(question, &evidence.registry, &history)),
        verdict: Some(Verdict {
            value: value.as_str().to_owned(),
            reasons: reasons.into_iter().map(str::to_owned).collect(),
            observed_since: coverage::observed_since(evidence),
        }),
        window: Some(ReportWindow {
            start: window.start,
            end: match question.range {
                Range::Last(_) => None,
                Range::Between(window) => Some(window.end),
            },
        }),
        summary: Some(summary),
        deployments: deployments::rows(&matched),
        events: lines,
        tags: tags(question, evidence, &history, &known, now),
        coverage: entries,
        truncated: Truncated {
            events: more_events,
            ..Truncated::default()
        },
    }
}

/// Whether the answer tells when something last ran: not for a tag or a digest that runs.
#[must_use]
pub fn asks_for_past(subject: &Subject, clusters: &[ClusterEvidence], registry: &RegistryEvidence) -> bool {
    let history = TagHistory::new(registry.pointers());
    match subject {
        Subject::Repository => true,
        Subject::Tag(_) | Subject::Digest(_) => !runs(&matched(subject, &history, clusters)),
    }
}

fn runs(matched: &[Matched<'_>]) -> bool {
    matched
        .iter()
        .any(|matched| matched.used.lifecycle == Lifecycle::Running)
}

fn matched<'a>(subject: &Subject, history: &TagHistory, clusters: &'a [ClusterEvidence]) -> Vec<Matched<'a>> {
    clusters
        .iter()
        .flat_map(|cluster| {
            cluster.uses.iter().filter_map(move |used| {
                deployments::matches(subject, history, used).map(|how| Matched { cluster, used, how })
            })
        })
        .collect()
}

/// When it last ran, where it does no more. What has just stopped is in use until now.
fn last_in_use(
    subject: &Subject,
    history: &TagHistory,
    evidence: &Evidence,
    matched: &[Matched<'_>],
    now: Timestamp,
) -> Option<Timestamp> {
    if runs(matched) {
        return None;
    }
    evidence
        .clusters
        .iter()
        .flat_map(|cluster| &cluster.past)
        .filter(|span| deployments::matches(subject, history, &span.used).is_some())
        .map(|span| span.until.unwrap_or(now))
        .max()
}

fn queried(question: &Question, registry: &RegistryEvidence, history: &TagHistory) -> QueriedImage {
    let repository = match registry {
        RegistryEvidence::Events(events) => &events.repository,
        RegistryEvidence::None | RegistryEvidence::Conflict(_) => &question.repository,
    };
    let (tag, digest) = match &question.subject {
        Subject::Tag(tag) => (Some(tag.clone()), history.current(tag).cloned()),
        Subject::Digest(digest) => (None, Some(digest.clone())),
        Subject::Repository => (None, None),
    };
    let reference = Reference {
        repository: repository.clone(),
        tag: tag.clone(),
        digest: match &question.subject {
            Subject::Digest(digest) => Some(digest.clone()),
            Subject::Tag(_) | Subject::Repository => None,
        },
    };
    QueriedImage {
        reference: reference.to_string(),
        registry: repository.host.clone(),
        namespace: repository.namespace().map(str::to_owned),
        repository: repository.name().to_owned(),
        tag,
        digest: digest.map(|digest| digest.to_string()),
    }
}

fn summary(evidence: &Evidence, matched: &[Matched<'_>]) -> Summary {
    let deployments::Numbers {
        clusters,
        namespaces,
        workloads,
        pods,
        ready_pods,
        digests,
    } = deployments::numbers(matched);
    Summary {
        clusters,
        namespaces,
        workloads,
        pods,
        ready_pods,
        digests,
        same_content_elsewhere: evidence
            .clusters
            .iter()
            .map(|cluster| cluster.same_content_elsewhere)
            .sum(),
        ..Summary::default()
    }
}

/// The repository's tags: those that events or references name, by name.
fn tags(
    question: &Question,
    evidence: &Evidence,
    history: &TagHistory,
    known: &KnownClients,
    now: Timestamp,
) -> Vec<TagLine> {
    if question.subject != Subject::Repository {
        return Vec::new();
    }
    let facts: std::collections::BTreeMap<&str, _> = match &evidence.registry {
        RegistryEvidence::Events(events) => events.tags.iter().map(|tag| (tag.tag.as_str(), tag)).collect(),
        RegistryEvidence::None | RegistryEvidence::Conflict(_) => std::collections::BTreeMap::new(),
    };
    let referenced = evidence
        .clusters
        .iter()
        .flat_map(|cluster| &cluster.uses)
        .filter(|used| used.image.digest.is_none())
        .map(|used| used.image.tag_or_latest());
    let names: std::collections::BTreeSet<&str> = facts.keys().copied().chain(referenced).collect();
    names
        .into_iter()
        .map(|name| {
            let subject = Subject::Tag(name.to_owned());
            let matched = matched(&subject, history, &evidence.clusters);
            let (verdict, _) = verdict::judge(&subject, history, evidence, known, &matched);
            let facts = facts.get(name);
            TagLine {
                tag: name.to_owned(),
                digest: history.current(name).map(ToString::to_string),
                verdict: verdict.as_str().to_owned(),
                pods: deployments::numbers(&matched).pods,
                last_push: facts.and_then(|facts| facts.last_push),
                last_pull: facts.and_then(|facts| facts.last_pull),
                last_in_use: last_in_use(&subject, history, evidence, &matched, now),
                deleted: facts.and_then(|facts| facts.deleted),
            }
        })
        .collect()
}
