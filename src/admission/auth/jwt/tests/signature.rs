//! What a token must be before a word of it is believed.

use super::*;

#[test]
fn every_algorithm_verifies_what_it_has_signed_and_nothing_else() {
    let rsa = Issuer::new(Algorithm::RS256);
    let issuers: Vec<Issuer> = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ]
    .into_iter()
    .map(|algorithm| Issuer {
        algorithm,
        key: rsa.key.clone(),
        jwk: rsa.jwk.clone(),
    })
    .chain([Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA].map(Issuer::new))
    .collect();
    for issuer in &issuers {
        for accepted in &issuers {
            let algorithms = vec![accepted.algorithm];
            let settings = config::Jwt {
                algorithms,
                ..settings()
            };
            let method = method(&settings, set(&[&accepted.jwk]));
            let expected = match issuer.algorithm == accepted.algorithm {
                true => "people:ann",
                false => "the token is signed by an algorithm that is not accepted",
            };
            let (signed, by) = (issuer.algorithm, accepted.algorithm);
            assert_eq!(
                told(&method, &issuer.sign(&claims())),
                expected,
                "{signed:?} {by:?}"
            );
        }
    }
}

#[test]
fn a_secret_verifies_by_its_own_algorithms() {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let algorithms = vec![Algorithm::HS256, Algorithm::HS512];
    let settings = config::Jwt {
        algorithms,
        ..settings()
    };
    let method = Jwt::new("people", &settings).unwrap();
    for (algorithm, expected) in [
        (Algorithm::HS256, "people:ann"),
        (Algorithm::HS512, "people:ann"),
        (
            Algorithm::HS384,
            "the token is signed by an algorithm that is not accepted",
        ),
    ] {
        let header = json!({ "alg": format!("{algorithm:?}"), "kid": "whatever" });
        let token = sign(&header, claims().to_string().as_bytes(), &key, algorithm);
        assert_eq!(told(&method, &token), expected);
        let other = EncodingKey::from_secret(&SECRET.as_bytes()[1..]);
        let token = sign(&header, claims().to_string().as_bytes(), &other, algorithm);
        assert_ne!(told(&method, &token), "people:ann");
    }
}

#[test]
fn a_token_that_nobody_has_signed_admits_nobody() {
    let issuer = Issuer::new(Algorithm::ES256);
    let method = method(&settings(), set(&[&issuer.jwk]));
    let good = issuer.sign(&claims());
    assert_eq!(told(&method, &good), "people:ann");
    let payload = good.split('.').nth(1).unwrap();
    for (algorithm, signature) in [("none", ""), ("None", ""), ("NONE", "AAAA"), ("", "")] {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": algorithm }).to_string());
        let token = format!("{header}.{payload}.{signature}");
        let expected = "the token is signed by an algorithm that is not accepted";
        assert_eq!(told(&method, &token), expected, "{algorithm}");
    }
    for signature in [
        "",
        "AAAA",
        &"A".repeat(86),
        "%%%%",
        &good[good.len() - 85..],
    ] {
        let (message, _) = good.rsplit_once('.').unwrap();
        let expected = "the signature of the token is wrong";
        assert_eq!(told(&method, &format!("{message}.{signature}")), expected);
    }
}

#[test]
fn every_changed_byte_of_a_token_is_noticed() {
    let issuer = Issuer::new(Algorithm::EdDSA);
    let settings = config::Jwt {
        algorithms: vec![Algorithm::EdDSA],
        ..settings()
    };
    let method = method(&settings, set(&[&issuer.jwk]));
    let good = issuer.sign(&claims());
    for at in 0..good.len() {
        let mut token = good.clone().into_bytes();
        token[at] = if token[at] == b'A' { b'B' } else { b'A' };
        let token = String::from_utf8(token).unwrap();
        assert_ne!(told(&method, &token), "people:ann", "byte {at}");
        assert_ne!(told(&method, &good[..at]), "people:ann", "up to byte {at}");
    }
}

#[test]
fn a_public_key_is_no_secret() {
    // What is known to everybody must not sign: neither as it is published, nor as it is decoded.
    let pair = KeyPair::generate().unwrap();
    let settings = config::Jwt {
        algorithms: vec![Algorithm::ES256],
        keys: TokenKeys::Public(
            PublicKey::new(config::KeyKind::P256, pair.der_bytes().to_vec()).unwrap(),
        ),
        ..settings()
    };
    let method = Jwt::new("people", &settings).unwrap();
    let pem = pair.public_key_pem();
    for secret in [pem.as_bytes(), pem.trim().as_bytes(), pair.der_bytes()] {
        let key = EncodingKey::from_secret(secret);
        let payload = claims().to_string();
        let token = sign(
            &json!({ "alg": "HS256" }),
            payload.as_bytes(),
            &key,
            Algorithm::HS256,
        );
        let expected = "the token is signed by an algorithm that is not accepted";
        assert_eq!(told(&method, &token), expected);
    }
    let key = EncodingKey::from_ec_der(&pair.serialize_der());
    let payload = claims().to_string();
    let header = json!({ "alg": "ES256", "kid": "of no meaning here" });
    let token = sign(&header, payload.as_bytes(), &key, Algorithm::ES256);
    assert_eq!(told(&method, &token), "people:ann");
}

#[test]
fn a_key_that_a_token_brings_along_is_not_looked_at() {
    let (issuer, thief) = (Issuer::new(Algorithm::ES256), Issuer::new(Algorithm::ES256));
    let method = method(&settings(), set(&[&issuer.jwk]));
    for (name, value) in [
        ("jwk", thief.jwk.clone()),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/chain")),
        ("x5c", json!(["MIIB"])),
        ("jwk", json!("not even a key")),
    ] {
        let header = json!({ "alg": "ES256", name: value });
        let expected = "the signature of the token is wrong";
        assert_eq!(
            told(&method, &thief.sign_with(&header, &claims())),
            expected,
            "{name}"
        );
        assert_eq!(
            told(&method, &issuer.sign_with(&header, &claims())),
            "people:ann",
            "{name}"
        );
    }
}

#[test]
fn critical_extensions_are_refused() {
    let issuer = Issuer::new(Algorithm::ES256);
    let method = method(&settings(), set(&[&issuer.jwk]));
    for crit in [
        json!(["exp"]),
        json!(["b64"]),
        json!([]),
        json!(null),
        json!("b64"),
    ] {
        let header = json!({ "alg": "ES256", "b64": false, "crit": crit });
        let expected = "the token has critical extensions";
        assert_eq!(
            told(&method, &issuer.sign_with(&header, &claims())),
            expected,
            "{crit}"
        );
    }
}

#[test]
fn malformed_tokens_are_refused() {
    let issuer = Issuer::new(Algorithm::ES256);
    let method = method(&settings(), set(&[&issuer.jwk]));
    let good = issuer.sign(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!()
    };
    let encoded = |json: &str| URL_SAFE_NO_PAD.encode(json);
    for token in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "not a token".to_owned(),
        format!("{header}.{payload}"),
        format!("{good}."),
        format!("{good}.{signature}.{signature}"),
        format!("{header}=.{payload}.{signature}"),
        format!(" {good}"),
        format!("{}.{payload}.{signature}", encoded("[]")),
        format!("{}.{payload}.{signature}", encoded("{\"alg\":\"ES256\"")),
        format!("{}.{payload}.{signature}", encoded("{}")),
        format!("{}.{payload}.{signature}", encoded("{\"alg\":7}")),
        format!(
            "{}.{payload}.{signature}",
            encoded("{\"alg\":\"ES256\",\"kid\":7}")
        ),
        format!("{}.{payload}.{signature}", encoded(&"[".repeat(4000))),
    ] {
        assert_eq!(told(&method, &token), "the token is malformed", "{token}");
    }
    // Signed, and nonsense all the same.
    for payload in [
        "",
        "[]",
        "7",
        "{",
        "{\"sub\":\"ann\"}x",
        "{\"exp\":1e999}",
        "\u{fffd}",
    ] {
        let header = json!({ "alg": "ES256" });
        let token = sign(&header, payload.as_bytes(), &issuer.key, Algorithm::ES256);
        assert_eq!(told(&method, &token), "the token is malformed", "{payload}");
    }
    assert!(matches!(method.judge(&[0xff; 64], now()), Check::Wrong(_)));
}

#[test]
fn a_huge_token_is_wrong_unread() {
    let issuer = Issuer::new(Algorithm::ES256);
    let method = method(&settings(), set(&[&issuer.jwk]));
    let huge = issuer.sign(&with("padding", json!("x".repeat(1024 * 1024))));
    assert_eq!(told(&method, &huge), "the token is longer than 8192 bytes");
    let large = issuer.sign(&with("padding", json!("x".repeat(5 * 1024))));
    assert!(large.len() < 8192);
    assert_eq!(told(&method, &large), "people:ann");
}

#[test]
fn a_token_that_was_good_is_judged_anew_but_for_its_signature() {
    let (old, new) = (Issuer::new(Algorithm::ES256), Issuer::new(Algorithm::ES256));
    let mut method = method(&settings(), set(&[&old.jwk]));
    let token = old.sign(&claims());
    for _ in 0..2 {
        assert_eq!(told(&method, &token), "people:ann");
    }
    let later = now() + Duration::from_secs(60 + 30);
    let expired = Check::Wrong(TokenFault::Expired.into());
    assert_eq!(method.judge(token.as_bytes(), later), expired);
    // A key that is gone has verified nothing.
    method.keys = Keys::fixed(set(&[&new.jwk]));
    assert_eq!(told(&method, &token), "the signature of the token is wrong");
}

#[test]
fn nothing_of_a_token_is_printed() {
    let shown = format!("{:?}", Jwt::new("people", &settings()).unwrap());
    assert!(
        !shown.contains(SECRET) && !shown.contains("48, 49, 50"),
        "{shown}"
    );
}

#[test]
fn tokens_are_found_in_every_source_and_the_first_decides() {
    use crate::admission::auth::{Marker, Offer};
    use CredentialSource::{Cookie, Header, Query, Subprotocol};
    let issuer = Issuer::new(Algorithm::ES256);
    let sources = vec![
        Header("authorization".into()),
        Cookie("token".into()),
        Query("token".into()),
        Subprotocol("bearer.".into()),
    ];
    let settings = config::Jwt {
        sources,
        require_expiry: false,
        ..settings()
    };
    let method = method(&settings, set(&[&issuer.jwk]));
    let good = issuer.sign(&json!({ "sub": "ann" }));
    let bad = Issuer::new(Algorithm::ES256).sign(&json!({ "sub": "ann" }));
    let check = |header: &str, cookie: &str, query: &str, offered: &str| {
        let mut headers = HeaderMap::new();
        for (name, value) in [("authorization", header), ("cookie", cookie)] {
            if !value.is_empty() {
                headers.insert(name, value.parse().unwrap());
            }
        }
        let offer = Offer::split(vec![offered.to_owned()], &[Marker::new("bearer.")]);
        let ask = Ask {
            credentials: &offer.credentials,
            ..Ask::of(&headers, Some(query))
        };
        match method.check(&ask) {
            Check::Admitted(_) => Some(true),
            Check::Wrong(_) => Some(false),
            Check::Absent => None,
            other => panic!("{other:?}"),
        }
    };
    let (bearer, cookie, query, offered) = (
        format!("Bearer {good}"),
        format!("a=1; token={good}"),
        format!("token={good}"),
        format!("bearer.{good}"),
    );
    assert_eq!(check(&bearer, "", "", ""), Some(true));
    assert_eq!(check("", &cookie, "", ""), Some(true));
    assert_eq!(check("", "", &query, ""), Some(true));
    assert_eq!(check("", "", "", &offered), Some(true));
    assert_eq!(check("", "", "", "chat"), None);
    assert_eq!(check("Basic YTpi", "token=", "token=", "bearer."), None);
    assert_eq!(check("Basic YTpi", "", "", &offered), Some(true));
    assert_eq!(
        check(&format!("Bearer {bad}"), "", "", &offered),
        Some(false)
    );
}
