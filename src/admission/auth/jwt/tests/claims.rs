//! What a verified token says: when, of whom, for whom, about whom.

use super::*;

#[test]
fn times_are_held_to_with_leeway() {
    let issuer = Issuer::new(Algorithm::ES256);
    let method = method(&settings(), set(&[&issuer.jwk]));
    let expired = "the token has expired";
    let early = "the token is not valid yet";
    let malformed = "the token is malformed";
    for (name, value, expected) in [
        ("exp", json!(NOW + 1), "people:ann"),
        ("exp", json!(NOW - 29), "people:ann"),
        ("exp", json!(NOW - 30), expired),
        ("exp", json!(NOW as f64 - 29.5), "people:ann"),
        ("exp", json!(NOW as f64 - 30.5), expired),
        ("exp", json!(0), expired),
        ("exp", json!(-1), expired),
        ("exp", json!(u64::MAX), "people:ann"),
        ("exp", json!(1e300), "people:ann"),
        ("exp", json!("1900000000"), malformed),
        ("exp", json!(null), malformed),
        ("exp", json!([NOW + 60]), malformed),
        ("nbf", json!(NOW + 30), "people:ann"),
        ("nbf", json!(NOW + 31), early),
        ("nbf", json!(u64::MAX), early),
        ("nbf", json!("0"), malformed),
    ] {
        let token = issuer.sign(&with(name, value.clone()));
        assert_eq!(told(&method, &token), expected, "{name} {value}");
    }
    let endless = issuer.sign(&json!({ "sub": "ann" }));
    assert_eq!(told(&method, &endless), "the token never expires");
    let settings = config::Jwt {
        require_expiry: false,
        ..settings()
    };
    let method = self::method(&settings, set(&[&issuer.jwk]));
    let Check::Admitted(proof) = method.judge(endless.as_bytes(), now()) else {
        panic!()
    };
    assert_eq!(proof.lifetime, None);
}

#[tokio::test(start_paused = true)]
async fn a_proof_ends_with_its_token() {
    let issuer = Issuer::new(Algorithm::ES256);
    let started = Instant::now();
    let ends_in = |settings: &config::Jwt, expiry: u64| {
        let method = method(settings, set(&[&issuer.jwk]));
        let token = issuer.sign(&with("exp", json!(expiry)));
        let Check::Admitted(proof) = method.judge(token.as_bytes(), now()) else {
            panic!()
        };
        proof.lifetime.map(|end| (end.ends - started, end.code))
    };
    let seconds = Duration::from_secs;
    let coded = config::Jwt {
        expire_code: Some(4401),
        ..settings()
    };
    assert_eq!(ends_in(&coded, NOW + 60), Some((seconds(60), 4401)));
    // Good for the sake of clocks that differ alone: until they cannot.
    assert_eq!(ends_in(&settings(), NOW - 10), Some((seconds(20), 3000)));
    let ten_years = seconds(10 * 365 * 86_400);
    assert_eq!(ends_in(&settings(), u64::MAX), Some((ten_years, 3000)));
    let endless = config::Jwt {
        expire_code: None,
        ..settings()
    };
    assert_eq!(ends_in(&endless, NOW + 60), None);
}

#[test]
fn a_token_must_be_of_the_issuer_and_for_the_audience() {
    let issuer = Issuer::new(Algorithm::ES256);
    let both = config::Jwt {
        issuers: vec!["https://id/".to_owned(), "https://id.old/".to_owned()],
        audiences: vec!["chat".to_owned(), "talk".to_owned()],
        ..settings()
    };
    let (strict, open) = (
        method(&both, set(&[&issuer.jwk])),
        method(&settings(), set(&[&issuer.jwk])),
    );
    let foreign = "the token is of another issuer";
    let elsewhere = "the token is for another audience";
    for (iss, aud, expected) in [
        (json!("https://id/"), json!("chat"), "people:ann"),
        (json!("https://id.old/"), json!(["x", "talk"]), "people:ann"),
        (json!("https://id"), json!("chat"), foreign),
        (json!("https://id/."), json!("chat"), foreign),
        (json!(["https://id/"]), json!("chat"), foreign),
        (json!(null), json!("chat"), foreign),
        (json!("https://id/"), json!("Chat"), elsewhere),
        (json!("https://id/"), json!("chat talk"), elsewhere),
        (json!("https://id/"), json!([]), elsewhere),
        (json!("https://id/"), json!([["chat"]]), elsewhere),
        (json!("https://id/"), json!({ "chat": 1 }), elsewhere),
        (json!("https://id/"), json!(null), elsewhere),
    ] {
        let token = issuer.sign(&json!({ "sub": "ann", "exp": NOW + 60, "iss": iss, "aud": aud }));
        assert_eq!(told(&strict, &token), expected, "{iss} {aud}");
        let expected = "the token is for an audience, and none is configured";
        assert_eq!(told(&open, &token), expected, "{iss} {aud}");
    }
    assert_eq!(told(&strict, &issuer.sign(&claims())), foreign);
    let token = issuer.sign(&with("iss", json!("https://id/")));
    assert_eq!(told(&strict, &token), elsewhere);
    assert_eq!(told(&open, &token), "people:ann");
}

#[test]
fn the_identity_is_a_name_and_nothing_else() {
    let issuer = Issuer::new(Algorithm::ES256);
    let by = |claim: &str| {
        let settings = config::Jwt {
            identity_claim: claim.to_owned(),
            ..settings()
        };
        method(&settings, set(&[&issuer.jwk]))
    };
    let nobody = "the token names no user";
    for (claim, expected) in [
        (json!("zoë"), "people:zoë"),
        (json!(7), "people:7"),
        (
            json!("x".repeat(256)),
            &*format!("people:{}", "x".repeat(256)),
        ),
        (json!("x".repeat(257)), nobody),
        (json!(""), nobody),
        (json!("ann\nadmin: true"), nobody),
        (json!("ann\u{85}"), nobody),
        (json!("\u{0}"), nobody),
        (json!(true), nobody),
        (json!(null), nobody),
        (json!(["ann"]), nobody),
        (json!({ "ann": 1 }), nobody),
    ] {
        let token = issuer.sign(&with("name", claim.clone()));
        assert_eq!(told(&by("name"), &token), expected, "{claim}");
    }
    assert_eq!(told(&by("email"), &issuer.sign(&claims())), nobody);
    // Into a claim; and a name with dots of its own.
    let nested = with("user", json!({ "id": "bob", "a.b": { "c": "eve" } }));
    assert_eq!(told(&by("user.id"), &issuer.sign(&nested)), "people:bob");
    assert_eq!(told(&by("user.a.b.c"), &issuer.sign(&nested)), "people:eve");
    assert_eq!(told(&by("user.id.x"), &issuer.sign(&nested)), nobody);
    let dotted = with("https://id.example.com/name", json!("ida"));
    assert_eq!(
        told(&by("https://id.example.com/name"), &issuer.sign(&dotted)),
        "people:ida"
    );
}

#[test]
fn what_is_required_is_compared_as_it_is_meant() {
    use ClaimRule::{Contains, Is, OneOf};
    let text = |text: &str| ClaimValue::Text(text.to_owned());
    let issuer = Issuer::new(Algorithm::ES256);
    let cases: Vec<(ClaimRule, Vec<Value>, Vec<Value>)> = vec![
        (
            Is(text("admin")),
            vec![json!("admin")],
            vec![
                json!("Admin"),
                json!("admin "),
                json!(["admin"]),
                json!(null),
                json!(1),
            ],
        ),
        (
            Is(ClaimValue::Flag(true)),
            vec![json!(true)],
            vec![json!(false), json!("true"), json!(1)],
        ),
        (
            Is(ClaimValue::Number(7)),
            vec![json!(7)],
            vec![json!("7"), json!(7.5), json!(8)],
        ),
        (
            OneOf(vec![text("a"), ClaimValue::Number(2)]),
            vec![json!("a"), json!(2)],
            vec![json!("a 2"), json!("2"), json!(["a"]), json!({ "a": 2 })],
        ),
        (
            Contains(text("chat")),
            vec![json!("chat"), json!("x chat y"), json!(["x", "chat"])],
            vec![
                json!("chats"),
                json!("x,chat"),
                json!(["chats"]),
                json!([["chat"]]),
                json!(""),
                json!([]),
                json!({ "chat": true }),
                json!(true),
            ],
        ),
        (
            Contains(ClaimValue::Number(2)),
            vec![json!([1, 2])],
            vec![json!(2), json!("1 2"), json!(["2"])],
        ),
        (
            Contains(text("")),
            vec![json!([""])],
            vec![json!(""), json!("a b"), json!("a  b")],
        ),
    ];
    for (rule, good, bad) in cases {
        let require_claims = vec![("realm.role".to_owned(), rule.clone())];
        let settings = config::Jwt {
            require_claims,
            ..settings()
        };
        let method = method(&settings, set(&[&issuer.jwk]));
        for value in good {
            let token = issuer.sign(&with("realm", json!({ "role": value })));
            assert_eq!(told(&method, &token), "people:ann", "{rule:?} {value}");
        }
        let denied = "denied: the claim `realm.role` is not what it must be";
        for value in bad {
            let token = issuer.sign(&with("realm", json!({ "role": value })));
            assert_eq!(told(&method, &token), denied, "{rule:?} {value}");
        }
        assert_eq!(told(&method, &issuer.sign(&claims())), denied);
        // Who is not known is not told what it takes.
        let forged = Issuer::new(Algorithm::ES256).sign(&claims());
        assert_eq!(
            told(&method, &forged),
            "the signature of the token is wrong"
        );
    }
}

#[test]
fn claims_are_told_in_headers_as_they_can_be() {
    let issuer = Issuer::new(Algorithm::ES256);
    let claims_to_headers = vec![("org".to_owned(), "x-org".to_owned())];
    let settings = config::Jwt {
        claims_to_headers,
        ..settings()
    };
    let method = method(&settings, set(&[&issuer.jwk]));
    let names: Vec<&str> = method.header_names().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-org"]);
    let headers = |claims: &Value| match method.judge(issuer.sign(claims).as_bytes(), now()) {
        Check::Admitted(proof) => Ok(proof.headers),
        Check::Denied(fault) => Err(fault.to_string()),
        other => panic!("{other:?}"),
    };
    for (claim, value) in [
        (json!("acme"), "acme"),
        (json!("zoë"), "zoë"),
        (json!(7), "7"),
        (json!(true), "true"),
        (json!(["a", 1, false]), "a,1,false"),
        (json!([]), ""),
        (json!(""), ""),
    ] {
        let told = headers(&with("org", claim.clone())).unwrap();
        let [(name, told)] = &told[..] else { panic!() };
        assert_eq!(
            (name.as_str(), told.as_bytes()),
            ("x-org", value.as_bytes()),
            "{claim}"
        );
    }
    for claims in [claims(), with("org", json!(null))] {
        assert_eq!(headers(&claims), Ok(Vec::new()));
    }
    for claim in [
        json!("a\r\nX-Admin: 1"),
        json!("a\tb"),
        json!("a\u{85}b"),
        json!(" a"),
        json!(["a,admin"]),
        json!(["a\n"]),
        json!([["a"]]),
        json!([null]),
        json!({ "a": 1 }),
    ] {
        let expected = "the claim `org` cannot stand in a header".to_owned();
        assert_eq!(
            headers(&with("org", claim.clone())),
            Err(expected),
            "{claim}"
        );
    }
}

#[test]
fn a_token_is_known_by_its_id() {
    let issuer = Issuer::new(Algorithm::ES256);
    let method = method(&settings(), set(&[&issuer.jwk]));
    for (id, expected) in [
        (json!("T-1"), Some("T-1")),
        (json!(7), Some("7")),
        (json!(""), None),
        (json!("a\n"), None),
        (json!("x".repeat(257)), None),
    ] {
        let token = issuer.sign(&with("jti", id.clone()));
        let Check::Admitted(proof) = method.judge(token.as_bytes(), now()) else {
            panic!()
        };
        assert_eq!(proof.token_id.as_deref(), expected, "{id}");
    }
}
