//! Which key a token is held against, and which keys a set has.

use super::*;
use crate::admission::auth::jwt::keys::{KEY_SET_BYTES_MAX, KeySetError};

#[test]
fn keys_are_chosen_by_name_and_kind() {
    let (old, new) = (
        Issuer::new(Algorithm::ES256).named("old"),
        Issuer::new(Algorithm::ES256).named("new"),
    );
    let (other, thief) = (
        Issuer::new(Algorithm::ES384).named("other"),
        Issuer::new(Algorithm::ES256),
    );
    let algorithms = vec![Algorithm::ES256, Algorithm::ES384];
    let settings = config::Jwt {
        algorithms,
        ..settings()
    };
    let named = method(&settings, set(&[&old.jwk, &new.jwk, &other.jwk]));
    let header = |id: Option<&str>| json!({ "alg": "ES256", "kid": id });
    let (wrong, unknown) = (
        "the signature of the token is wrong",
        "the token is signed by a key that is not known",
    );
    for (issuer, id, expected) in [
        (&old, Some("old"), "people:ann"),
        (&new, Some("new"), "people:ann"),
        (&new, Some("old"), wrong),
        (&new, None, "people:ann"),
        (&new, Some("newest"), unknown),
        (&new, Some(""), unknown),
        (
            &new,
            Some("other"),
            "no key fits the algorithm of the token",
        ),
        (&thief, Some("new"), wrong),
        (&thief, None, wrong),
    ] {
        let token = issuer.sign_with(&header(id), &claims());
        assert_eq!(told(&named, &token), expected, "{id:?}");
    }
    // A set whose only key has no name.
    let lone = method(&settings, set(&[&thief.jwk]));
    assert_eq!(
        told(&lone, &thief.sign_with(&header(Some("x")), &claims())),
        "people:ann"
    );
    assert_eq!(told(&lone, &old.sign(&claims())), wrong);
    // One without a name beside one with.
    let mixed = method(&settings, set(&[&thief.jwk, &old.jwk]));
    assert_eq!(
        told(&mixed, &thief.sign_with(&header(Some("x")), &claims())),
        "people:ann"
    );
    assert_eq!(told(&mixed, &new.sign(&claims())), unknown);
}

#[test]
fn of_many_keys_only_a_few_are_tried() {
    let last = Issuer::new(Algorithm::ES256);
    let others: Vec<Issuer> = (0..8).map(|_| Issuer::new(Algorithm::ES256)).collect();
    let mut jwks: Vec<&Value> = others.iter().map(|other| &other.jwk).collect();
    jwks.push(&last.jwk);
    let token = last.sign(&claims());
    assert_eq!(
        told(&method(&settings(), set(&jwks)), &token),
        "the signature of the token is wrong"
    );
    jwks.remove(0);
    assert_eq!(told(&method(&settings(), set(&jwks)), &token), "people:ann");
}

#[test]
fn a_key_for_one_algorithm_is_for_no_other() {
    let mut issuer = Issuer::new(Algorithm::PS256);
    issuer.jwk["alg"] = json!("RS256");
    let algorithms = vec![Algorithm::PS256, Algorithm::RS256];
    let settings = config::Jwt {
        algorithms,
        ..settings()
    };
    let method = method(&settings, set(&[&issuer.jwk]));
    let expected = "no key fits the algorithm of the token";
    assert_eq!(told(&method, &issuer.sign(&claims())), expected);
    issuer.algorithm = Algorithm::RS256;
    assert_eq!(told(&method, &issuer.sign(&claims())), "people:ann");
}

#[test]
fn a_set_is_read_for_what_can_verify() {
    let good = Issuer::new(Algorithm::ES256).named("good").jwk;
    let altered = |changes: Value| {
        let mut jwk = good.clone();
        for (name, value) in changes.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk
    };
    let rsa = Issuer::new(Algorithm::RS256).jwk;
    let short = URL_SAFE_NO_PAD.encode([0xff; 128]);
    for (jwk, is_usable) in [
        (altered(json!({})), true),
        (
            altered(json!({ "use": "sig", "key_ops": ["verify"], "alg": "ES256" })),
            true,
        ),
        (altered(json!({ "x5c": ["MIIB"], "d": "c2VjcmV0" })), true),
        (altered(json!({ "use": "enc" })), false),
        (altered(json!({ "key_ops": ["sign"] })), false),
        (altered(json!({ "alg": "ECDH-ES" })), false),
        (altered(json!({ "alg": "ES384" })), false),
        (altered(json!({ "crv": "P-384" })), false),
        (altered(json!({ "crv": "secp256k1" })), false),
        (altered(json!({ "x": "AAAA" })), false),
        (altered(json!({ "x": good["y"], "y": good["x"] })), false),
        (altered(json!({ "kid": 7 })), false),
        (
            json!({ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" }),
            false,
        ),
        (
            json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA" }),
            false,
        ),
        (json!({ "kty": "OKP", "crv": "X25519", "x": "AAAA" }), false),
        (json!({ "kty": "RSA", "n": rsa["n"], "e": rsa["e"] }), true),
        (json!({ "kty": "RSA", "n": short, "e": "AQAB" }), false),
        (json!({ "kty": "RSA", "n": rsa["n"], "e": "AA" }), false),
        (json!({ "kty": "RSA", "n": rsa["n"] }), false),
        (json!("a key"), false),
    ] {
        let text = json!({ "keys": [jwk] }).to_string();
        assert_eq!(KeySet::parse(text.as_bytes()).is_ok(), is_usable, "{jwk}");
        // Beside a good one it takes nothing away.
        let text = json!({ "keys": [jwk, good], "more": 1 }).to_string();
        let usable = KeySet::parse(text.as_bytes()).unwrap();
        assert_eq!(usable.len(), 1 + usize::from(is_usable), "{jwk}");
    }
}

#[test]
fn a_set_is_bounded() {
    let key = Issuer::new(Algorithm::ES256).jwk;
    let parse = |text: &str| KeySet::parse(text.as_bytes()).map(|set| set.len());
    let many = |count: usize| json!({ "keys": vec![&key; count] }).to_string();
    assert_eq!(parse(&many(256)), Ok(256));
    assert_eq!(parse(&many(257)), Err(KeySetError::TooMany(257)));
    let empty = format!("{{\"keys\":[{}0]}}", "0,".repeat(9_999));
    assert_eq!(parse(&empty), Err(KeySetError::TooMany(10_000)));
    assert_eq!(
        parse(&" ".repeat(KEY_SET_BYTES_MAX + 1)),
        Err(KeySetError::TooLong)
    );
    assert_eq!(parse("{\"keys\":[]}"), Err(KeySetError::NoneUsable(0)));
    assert_eq!(parse("{\"keys\":[{}]}"), Err(KeySetError::NoneUsable(1)));
    for text in [
        "",
        "<html>",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[",
        &key.to_string(),
    ] {
        assert!(
            matches!(parse(text), Err(KeySetError::Malformed(_))),
            "{text}"
        );
    }
}

#[test]
fn without_keys_nothing_is_said_of_a_token() {
    let url = config::Url {
        scheme: config::Scheme::Http,
        host: "127.0.0.1".to_owned(),
        port: 9,
        path_and_query: "/keys".to_owned(),
    };
    let keys = TokenKeys::Set {
        place: KeySetPlace::Url(url),
        ca: None,
    };
    let method = Jwt::new("people", &config::Jwt { keys, ..settings() }).unwrap();
    let issuer = Issuer::new(Algorithm::ES256);
    let unavailable = "unavailable: no key set has been fetched yet";
    assert_eq!(told(&method, &issuer.sign(&claims())), unavailable);
    // What is wrong whatever the keys are is wrong now.
    assert_eq!(told(&method, "key"), "the token is malformed");
}
