use std::time::Duration;

use jiff::Timestamp;

use crate::poll::{
    client::Failure,
    poller::{Stop, rest},
    problem::Problem,
    reading::{Reading, Step},
    source::Log,
};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn reading(log: &Log) -> Reading {
    Reading::new(log, time("2026-03-01T00:04:00.5Z"), time("2026-03-02T10:00:00Z"))
}

#[test]
fn a_request_says_from_when_on_in_the_words_of_the_registry() {
    let target = |log: &Log| reading(log).target(log);
    assert_eq!(
        target(&Log::Harbor),
        "/api/v2.0/auditlog-exts?page=1&page_size=100&sort=op_time%2Cid&q=op_time%3D%5B2026-02-28T23%3A59%3A00~%5D"
    );
    let days = "starttime=02%2F28%2F2026&endtime=03%2F03%2F2026";
    assert_eq!(
        target(&Log::QuayOrganization("acme".to_owned())),
        format!("/api/v1/organization/acme/logs?{days}")
    );
    assert_eq!(
        target(&Log::QuayRepository("team/sub app".to_owned())),
        format!("/api/v1/repository/team/sub%20app/logs?{days}")
    );
}

#[test]
fn pages_of_the_registries_are_read_as_the_fixtures_have_them() {
    let log = Log::Harbor;
    let mut harbor = reading(&log);
    let body = include_bytes!("../../../tests/fixtures/events/harbor/auditlog-exts.json");
    let page = harbor.page(body).unwrap();
    assert_eq!(page.rows.len(), 7);
    assert_eq!(page.rows[0].time, Some(time("2026-03-01T09:00:21Z")));
    let whole = log.format().parse(&http::HeaderMap::new(), body).unwrap();
    let again = harbor.body(&page.rows);
    assert_eq!(
        log.format().parse(&http::HeaderMap::new(), again.as_bytes()),
        Ok(whole)
    );
    let until = Some(time("2026-03-01T09:00:27Z"));
    assert_eq!(harbor.take(&page), Step { until, is_done: true });

    let log = Log::QuayOrganization("shop".to_owned());
    let mut quay = reading(&log);
    let body = include_bytes!("../../../tests/fixtures/events/quay/usage-logs.json");
    let page = quay.page(body).unwrap();
    assert_eq!(page.rows[0].time, Some(time("2026-03-01T09:00:01Z")));
    let whole = log.format().parse(&http::HeaderMap::new(), body).unwrap();
    let again = quay.body(&page.rows);
    assert_eq!(
        log.format().parse(&http::HeaderMap::new(), again.as_bytes()),
        Ok(whole)
    );
    let step = Step {
        until: None,
        is_done: false,
    };
    assert_eq!(quay.take(&page), step);
    assert!(quay.target(&log).ends_with("&next_page=opaque"));
}

#[test]
fn what_is_no_page_is_not_taken_for_an_empty_one() {
    for body in ["", "<html>", "{}", "\"\"", "{\"errors\":[]}", "[{]"] {
        assert!(reading(&Log::Harbor).page(body.as_bytes()).is_err(), "{body}");
    }
    let quay = reading(&Log::QuayOrganization("acme".to_owned()));
    for body in [
        "",
        "[]",
        "{}",
        "{\"logs\":{}}",
        "{\"logs\":[],\"search_unavailable\":true}",
    ] {
        assert!(quay.page(body.as_bytes()).is_err(), "{body}");
    }
    assert!(quay.page(b"{\"logs\":[]}").unwrap().rows.is_empty());
}

#[test]
fn a_log_that_is_not_sorted_or_has_no_times_is_counted_through_and_known_at_its_end() {
    let log = Log::Harbor;
    let mut harbor = reading(&log);
    let row = |time: &str| format!("{{\"op_time\":\"{time}\"}}");
    let mut rows = vec![row("2026-03-01T12:00:00Z"); 99];
    rows.push(row("2026-03-01T11:00:00Z"));
    let body = format!("[{}]", rows.join(","));
    let page = harbor.page(body.as_bytes()).unwrap();
    assert_eq!(harbor.take(&page).until, None);
    assert!(harbor.target(&log).contains("?page=2&"));
    let body = format!("[{}]", vec!["{}"; 100].join(","));
    let page = harbor.page(body.as_bytes()).unwrap();
    assert_eq!(harbor.take(&page).until, None);
    assert!(harbor.target(&log).contains("?page=3&"));
    let page = harbor.page(b"[]").unwrap();
    let until = Some(time("2026-03-01T12:00:00Z"));
    assert_eq!(harbor.take(&page), Step { until, is_done: true });
}

#[test]
fn rows_of_a_time_that_has_not_come_move_nothing_beyond_the_begin_of_the_round() {
    let mut harbor = reading(&Log::Harbor);
    let page = harbor.page(b"[{\"op_time\":\"2099-01-01T00:00:00Z\"}]").unwrap();
    assert_eq!(harbor.take(&page).until, Some(time("2026-03-02T10:00:00Z")));
}

#[test]
fn the_rest_after_a_round_is_the_interval_or_what_the_registry_asks_for_or_a_backoff() {
    let interval = Duration::from_mins(3);
    let failed = |failure| rest(&Err(Stop::Failed(failure)), 3, interval, 999_999_999);
    assert_eq!(rest(&Ok(()), 0, interval, 0), interval);
    assert_eq!(rest(&Err(Stop::Refusing), 0, interval, 0), interval);
    let passing = Failure {
        problem: Problem::Unreachable("ServerError"),
        retry_after: None,
        is_passing: true,
    };
    assert!(failed(passing) < Duration::from_secs(4));
    let asked = Failure {
        retry_after: Some(Duration::from_secs(7)),
        ..passing
    };
    assert!((7..=8).contains(&failed(asked).as_secs()));
    let hour = Failure {
        retry_after: Some(Duration::from_hours(1)),
        ..passing
    };
    assert!(failed(hour) <= Duration::from_secs(301));
    assert!(failed(Failure::lasting(Problem::Unauthorized)) >= Duration::from_secs(30));
}
