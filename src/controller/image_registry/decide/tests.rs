use super::*;

const LIMIT: Option<Rate> = Some(Rate {
    per_second: 20,
    burst: 40,
});

fn nothing() -> Received {
    Received {
        sources: Some(Vec::new()),
        rejected: BTreeMap::new(),
        rivals: Vec::new(),
        refusing: None,
        exceeded: None,
        unread: BTreeMap::new(),
        missing_keys: None,
    }
}

fn condition(refusing: Option<Refusing>, exceeded: Option<Rate>) -> (ConditionStatus, String, String) {
    condition_of(&Received {
        refusing,
        exceeded,
        ..nothing()
    })
}

fn condition_of(received: &Received) -> (ConditionStatus, String, String) {
    let conditions = Conditions::new(&[], None, Timestamp::UNIX_EPOCH);
    let built = receiving(conditions, &object(), received).build();
    (built[0].status, built[0].reason.clone(), built[0].message.clone())
}

fn object() -> ImageRegistry {
    let spec = serde_json::json!({
        "endpoints": [{"host": "harbor.example.com"}],
        "sources": [{"name": "audit", "format": "Harbor", "poll": {
            "url": "https://harbor.example.com",
            "authentication": {"type": "Basic", "basic": {
                "username": "robot$image-usage", "secretRef": {"name": "robot", "key": "secret"},
            }},
        }}],
    });
    ImageRegistry::new("harbor", serde_json::from_value(spec).unwrap())
}

#[test]
fn a_refusal_says_what_to_do_and_goes_before_all_else() {
    let (status, reason, message) = condition(Some(Refusing::QuotaExceeded { quota: 5000 }), LIMIT);
    assert_eq!(
        (status, reason.as_str()),
        (ConditionStatus::False, "QuotaExceeded")
    );
    assert!(message.contains("raise the quota"), "{message}");
    let (status, reason, message) = condition(Some(Refusing::LowSpace { keep_free: 256 << 20 }), None);
    assert_eq!((status, reason.as_str()), (ConditionStatus::False, "LowSpace"));
    assert!(message.contains("less than 256Mi of it are free"), "{message}");
    let (status, reason, _) = condition(Some(Refusing::Unavailable), None);
    assert_eq!(
        (status, reason.as_str()),
        (ConditionStatus::False, "StoreUnavailable")
    );
    assert_eq!(condition(Some(Refusing::Unavailable), LIMIT).1, "RateLimited");
    let (status, reason, message) = condition(None, LIMIT);
    assert_eq!((status, reason.as_str()), (ConditionStatus::False, "RateLimited"));
    assert!(message.contains("more than 20 deliveries a second"), "{message}");
    assert_eq!(condition(None, None).0, ConditionStatus::Unknown);
}

#[test]
fn a_rate_limit_that_names_no_burst_takes_two_seconds_at_once() {
    let spec = |burst| RegistryRateLimit {
        deliveries_per_second: 20,
        burst,
    };
    assert_eq!(Some(rate(&spec(None))), LIMIT);
    assert_eq!(rate(&spec(Some(7))).burst, 7);
}

#[test]
fn a_log_that_cannot_be_read_says_whose_and_what_to_do() {
    let received = |problem| Received {
        unread: [("audit".to_owned(), problem)].into(),
        ..nothing()
    };
    let (status, reason, message) = condition_of(&received(poll::Problem::Unauthorized));
    assert_eq!(
        (status, reason.as_str()),
        (ConditionStatus::False, "PollUnauthorized")
    );
    assert!(
        message.contains("audit") && message.contains("renew the credentials"),
        "{message}"
    );
    let (status, reason, message) = condition_of(&received(poll::Problem::Unreachable("TimedOut")));
    assert_eq!(
        (status, reason.as_str()),
        (ConditionStatus::False, "PollUnreachable")
    );
    assert!(message.contains("TimedOut"), "{message}");
}

#[test]
fn a_polled_source_has_no_path() {
    let object = object();
    let status = status_of(
        Ok(nothing()),
        &object,
        &ImageRegistryStatus::default(),
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(status.sources[0].path, None);
    assert_eq!(
        status.conditions[0].message,
        "accepted; the registry is asked for its log"
    );
    assert!(status.conditions[1].message.contains("told of no event yet"));
}
