//! Tokens signed as an identity provider would, and everything that may be wrong with one.

use super::keys::{KEY_SET_BYTES_MAX, KeySetError};
use super::*;
use crate::config::{ClaimValue, CredentialSource, PublicKey, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PublicKeyData};
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// Who issues tokens.
struct Issuer {
    algorithm: Algorithm,
    key: EncodingKey,
    /// What the world knows of it.
    jwk: Value,
}

impl Issuer {
    fn new(algorithm: Algorithm) -> Self {
        let pair = KeyPair::generate_for(match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::EdDSA => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_RSA_SHA256,
        });
        let pair = pair.unwrap();
        let (der, public) = (pair.serialize_der(), pair.der_bytes());
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |curve, length: usize| {
            let (x, y) = public[1..].split_at(length);
            json!({ "kty": "EC", "crv": curve, "x": encoded(x), "y": encoded(y) })
        };
        let (key, jwk) = match algorithm {
            Algorithm::ES256 => (EncodingKey::from_ec_der(&der), point("P-256", 32)),
            Algorithm::ES384 => (EncodingKey::from_ec_der(&der), point("P-384", 48)),
            Algorithm::EdDSA => (
                EncodingKey::from_ed_der(&der),
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded(public) }),
            ),
            _ => {
                let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
                let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, algorithm).unwrap();
                let mut jwk = serde_json::to_value(jwk).unwrap();
                jwk.as_object_mut().unwrap().remove("alg");
                (key, jwk)
            }
        };
        Self {
            algorithm,
            key,
            jwk,
        }
    }

    fn named(mut self, id: &str) -> Self {
        self.jwk["kid"] = json!(id);
        self
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_with(
            &json!({ "alg": format!("{:?}", self.algorithm), "kid": self.jwk["kid"] }),
            claims,
        )
    }

    /// With a header that it would not write.
    fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let mut header = header.clone();
        if header["kid"].is_null() {
            header.as_object_mut().unwrap().remove("kid");
        }
        sign(
            &header,
            claims.to_string().as_bytes(),
            &self.key,
            self.algorithm,
        )
    }
}

fn sign(header: &Value, payload: &[u8], key: &EncodingKey, algorithm: Algorithm) -> String {
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn set(keys: &[&Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn claims() -> Value {
    json!({ "sub": "ann", "exp": NOW + 60 })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn settings() -> config::Jwt {
    config::Jwt {
        algorithms: vec![Algorithm::ES256],
        keys: TokenKeys::Secret(Secret::new(SECRET)),
        issuers: Vec::new(),
        audiences: Vec::new(),
        leeway: Duration::from_secs(30),
        require_expiry: true,
        identity_claim: "sub".to_owned(),
        require_claims: Vec::new(),
        claims_to_headers: Vec::new(),
        sources: vec![CredentialSource::Header("authorization".to_owned())],
        expire_code: Some(3000),
    }
}

/// A method with these keys.
fn method(settings: &config::Jwt, keys: KeySet) -> Jwt {
    let mut method = Jwt::new("people", settings).unwrap();
    method.keys = Keys::fixed(keys);
    method
}

/// The identity, or why there is none.
fn told(method: &Jwt, token: &str) -> String {
    match method.judge(token.as_bytes(), now()) {
        Check::Admitted(proof) => proof.identity.to_string(),
        Check::Wrong(fault) => fault.to_string(),
        Check::Denied(fault) => format!("denied: {fault}"),
        Check::Unavailable(fault) => format!("unavailable: {fault}"),
        Check::Absent | Check::Answered(_) => panic!("{token}"),
    }
}

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
        let other = EncodingKey::from_secret(SECRET[1..].as_bytes());
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

#[test]
fn nothing_of_a_token_is_printed() {
    let shown = format!("{:?}", Jwt::new("people", &settings()).unwrap());
    assert!(
        !shown.contains(SECRET) && !shown.contains("48, 49, 50"),
        "{shown}"
    );
}
