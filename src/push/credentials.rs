//! Keys, region and endpoint of an S3 server: from variables, else from the files that other tools of
//! AWS use too.

use std::path::PathBuf;

use reqwest::Url;

use super::error::{Error, ErrorKind};
use crate::advice::PushAdvice;
use crate::secret::{Secret, SecretUrl, Secrets};

const REGION_DEFAULT: &str = "us-east-1";
/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How an S3 server is reached.
#[derive(Clone)]
pub struct S3Settings {
    pub(super) key_id: Secret,
    pub(super) key: Secret,
    pub(super) token: Option<Secret>,
    pub(super) region: String,
    /// `None` is AWS.
    pub(super) endpoint: Option<String>,
}

/// What was typed instead of variables.
#[derive(Clone, Debug, Default)]
pub struct S3Typed {
    pub endpoint: Option<SecretUrl>,
    pub region: Option<String>,
    /// Keys may go to another machine without encryption.
    pub allow_http: bool,
}

impl S3Settings {
    /// Finds keys, region and endpoint. `variable` reads the environment.
    pub fn resolve(
        typed: &S3Typed,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let profile = Profile::read(variable);
        let set = |name: &str| variable(name);
        let keys = set("AWS_ACCESS_KEY_ID").zip(set("AWS_SECRET_ACCESS_KEY"));
        let (key_id, key, token) = match keys {
            Some((id, key)) => (id, key, set("AWS_SESSION_TOKEN")),
            None => {
                let keys = profile
                    .value("aws_access_key_id")
                    .zip(profile.value("aws_secret_access_key"));
                let (id, key) = keys.ok_or_else(|| no_keys(&profile))?;
                (id, key, profile.value("aws_session_token"))
            }
        };
        let region = typed.region.clone().or_else(|| set("AWS_REGION"));
        let region = region.or_else(|| set("AWS_DEFAULT_REGION"));
        let region = region.or_else(|| profile.value("region"));
        let endpoint = typed.endpoint.clone();
        let endpoint = endpoint.or_else(|| set("AWS_ENDPOINT_URL_S3").map(SecretUrl::from));
        let endpoint = endpoint.or_else(|| set("AWS_ENDPOINT_URL").map(SecretUrl::from));
        let endpoint = endpoint.or_else(|| profile.value("endpoint_url").map(SecretUrl::from));
        let endpoint = endpoint
            .map(|url| check(&url, typed.allow_http))
            .transpose()?;
        let secret = |text: String| Secret::new(&text).ok_or_else(|| no_keys(&profile));
        Ok(Self {
            key_id: secret(key_id)?,
            key: secret(key)?,
            token: token.as_deref().and_then(Secret::new),
            region: region.unwrap_or_else(|| REGION_DEFAULT.to_owned()),
            endpoint,
        })
    }

    /// What must not be in any text.
    pub(super) fn secrets(&self) -> Secrets {
        let token = self.token.iter();
        Secrets::of([&self.key_id, &self.key].into_iter().chain(token).cloned())
    }
}

fn no_keys(profile: &Profile) -> Error {
    let message = match &profile.name {
        Some(name) => format!("the profile {name:?} has no keys"),
        None => "no keys are set for the bucket".to_owned(),
    };
    Error::new(ErrorKind::Usage, message).with_hint(PushAdvice::SetCredentials)
}

/// The endpoint, if keys may be sent to it.
fn check(endpoint: &SecretUrl, allow_http: bool) -> Result<String, Error> {
    let wrong = |why: &str| Error::new(ErrorKind::Usage, format!("the endpoint {endpoint} {why}"));
    let url = Url::parse(endpoint.expose().trim()).ok();
    let plain = url.filter(crate::secret::is_plain);
    let url = plain.filter(|url| url.username().is_empty() && url.password().is_none());
    let url = url.ok_or_else(|| wrong("isn't a valid http or https URL without a user"))?;
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if url.scheme() == "http" && !is_here && !allow_http {
        let error = wrong("isn't encrypted and isn't on this machine");
        return Err(error.with_hint(PushAdvice::AllowHttp));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The settings of one profile in the files of AWS's tools.
#[derive(Default)]
struct Profile {
    /// The name, if one was chosen.
    name: Option<String>,
    values: Vec<(String, String)>,
}

impl Profile {
    fn read(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let name = variable("AWS_PROFILE");
        let wanted = name.clone().unwrap_or_else(|| "default".to_owned());
        let home = variable("HOME").or_else(|| variable("USERPROFILE"));
        let file = |variable_name: &str, default: &str| {
            let of_home = || Some(PathBuf::from(home.as_ref()?).join(".aws").join(default));
            let path = variable(variable_name)
                .map(PathBuf::from)
                .or_else(of_home)?;
            let small = std::fs::metadata(&path).is_ok_and(|file| file.len() <= FILE_BYTES_MAX);
            small.then(|| std::fs::read_to_string(&path).ok()).flatten()
        };
        let mut values = Vec::new();
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        values.extend(section(&credentials.unwrap_or_default(), &wanted));
        let config = file("AWS_CONFIG_FILE", "config").unwrap_or_default();
        values.extend(section(&config, &format!("profile {wanted}")));
        if wanted == "default" {
            values.extend(section(&config, &wanted));
        }
        Self { name, values }
    }

    /// The first value of a setting.
    fn value(&self, name: &str) -> Option<String> {
        let found = self.values.iter().find(|(key, _)| key == name)?;
        Some(found.1.clone()).filter(|value| !value.is_empty())
    }
}

/// The settings of a section. Indented lines belong to the setting above them and are skipped.
fn section(text: &str, wanted: &str) -> Vec<(String, String)> {
    let mut inside = false;
    let mut values = Vec::new();
    for line in text.lines() {
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or_default();
            inside = name.split_whitespace().eq(wanted.split_whitespace());
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
            values.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn resolve(typed: &S3Typed, set: &[(&str, &str)]) -> Result<S3Settings, Error> {
        let set: HashMap<&str, &str> = set.iter().copied().collect();
        S3Settings::resolve(typed, &|name| {
            set.get(name).map(|value| (*value).to_owned())
        })
    }

    #[test]
    fn variables_are_before_the_profile() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials");
        let text = "[default]\naws_access_key_id = A\naws_secret_access_key = B\n\
                    [team]\naws_access_key_id=C\naws_secret_access_key=D=\ns3 =\n  region = no\nregion = eu-west-1\n";
        crate::store::write_file(&file, text.as_bytes()).unwrap();
        let path = file.to_str().unwrap();
        let files = [
            ("AWS_SHARED_CREDENTIALS_FILE", path),
            ("AWS_CONFIG_FILE", "/missing"),
        ];
        let typed = S3Typed::default();
        let found = resolve(&typed, &files).unwrap();
        assert_eq!(
            (found.key.expose(), found.region.as_str()),
            ("B", REGION_DEFAULT)
        );
        let team = [&files[..], &[("AWS_PROFILE", "team")]].concat();
        let found = resolve(&typed, &team).unwrap();
        assert_eq!(
            (found.key.expose(), found.region.as_str()),
            ("D=", "eu-west-1")
        );
        let set = [("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "F")];
        let found = resolve(&typed, &[&team[..], &set].concat()).unwrap();
        assert_eq!((found.key_id.expose(), found.key.expose()), ("E", "F"));
        let other = [&files[..], &[("AWS_PROFILE", "other")]].concat();
        assert!(resolve(&typed, &other).is_err());
    }

    #[test]
    fn keys_are_sent_without_encryption_only_to_this_machine() {
        let keys = [("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "F")];
        let of = |url: &str, allow_http| {
            let endpoint = Some(SecretUrl::from(url));
            let typed = S3Typed {
                endpoint,
                allow_http,
                ..S3Typed::default()
            };
            resolve(&typed, &keys).map(|found| found.endpoint)
        };
        for url in [
            "http://127.0.0.1:8333",
            "http://localhost:1/",
            "http://[::1]:2",
            "https://s3.example",
        ] {
            assert!(of(url, false).is_ok(), "{url}");
        }
        assert!(of("http://10.0.0.1", false).is_err());
        assert!(of("http://localhost.example", false).is_err());
        assert!(of("http://10.0.0.1", true).is_ok());
        let refused = of("https://me:hunter2@host", false)
            .unwrap_err()
            .to_string();
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}
