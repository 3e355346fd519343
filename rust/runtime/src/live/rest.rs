//! REST: GET requests on the shard's own runtime, within the budget of the host. Every request is answered exactly
//! once, with status 0 where there was no reply. Redirects are not followed.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use rustls::ClientConfig;
use xtrader_core::engine::RequestId;
use xtrader_core::time::Stamp;

use super::address::{self, Service};
use super::allowance::Allowance;
use super::budget::{Hold, Shared};
use super::down::escaped;
use super::options::RestLimits;
use super::sys;
use crate::error::RuntimeError;

/// Header in which Binance tells the weight spent in the running minute.
const USED_WEIGHT: &str = "x-mbx-used-weight-1m";

/// A reply, or the failure to get one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The request it answers.
    pub request: RequestId,
    /// What was asked.
    pub url: String,
    /// HTTP status, 0 when there was no reply.
    pub status: u16,
    /// How long to stay away, where known.
    pub retry_after_ms: Option<u64>,
    /// The body, decompressed.
    pub body: Vec<u8>,
    /// Why there was no reply. For the report, not for the engine.
    pub problem: Option<String>,
}

struct Request {
    id: RequestId,
    url: String,
    weight: u32,
    account: Shared,
}

type Running = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// See the module.
pub struct Rest {
    client: Client,
    limits: RestLimits,
    allowance: Allowance,
    deadline: Duration,
    waiting: VecDeque<Request>,
    running: FuturesUnordered<Running>,
    answered: VecDeque<Reply>,
    /// When the first that waits may try again (monotonic).
    resume_at: Option<u64>,
    /// The account with the host asked last. For the report.
    account: Option<Shared>,
    /// Requests sent.
    pub sent: u64,
    /// Requests that got no reply.
    pub failed: u64,
    /// The last reason.
    pub last_problem: Option<String>,
}

impl Rest {
    /// Nothing asked yet. `deadline_ms` counts from the moment a request is sent.
    ///
    /// # Errors
    /// The client cannot be set up.
    pub fn new(
        tls: &Arc<ClientConfig>,
        limits: RestLimits,
        allowance: Allowance,
        deadline_ms: u64,
    ) -> Result<Self, RuntimeError> {
        let deadline = Duration::from_millis(deadline_ms);
        let client = Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(tls))
            .redirect(Policy::none())
            .no_proxy()
            .http1_only()
            .gzip(true)
            .tcp_nodelay(true)
            .timeout(deadline)
            .user_agent(concat!("xtrader/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| RuntimeError::System { doing: "set up REST", problem: with_causes(&e) })?;
        Ok(Self {
            client,
            limits,
            allowance,
            deadline,
            waiting: VecDeque::new(),
            running: FuturesUnordered::new(),
            answered: VecDeque::new(),
            resume_at: None,
            account: None,
            sent: 0,
            failed: 0,
            last_problem: None,
        })
    }

    /// Takes a request. What must not be dialled, or finds the queue full, is answered with status 0.
    pub fn ask(&mut self, request: RequestId, url: String, weight: u32) {
        let account = match address::parse(&url, Service::Rest) {
            Ok(parsed) => Shared::with(&address::origin(&parsed), &self.allowance),
            Err(e) => return self.answered.push_back(unanswered(request, url, None, e.to_string())),
        };
        if self.waiting.len() >= self.limits.max_waiting {
            let problem = format!("{} requests wait already", self.limits.max_waiting);
            return self.answered.push_back(unanswered(request, url, None, problem));
        }
        self.account = Some(account.clone());
        self.waiting.push_back(Request { id: request, url, weight, account });
    }

    /// The next reply.
    pub fn poll(&mut self, cx: &mut Context<'_>, now: Stamp) -> Poll<Reply> {
        self.send_what_may(now);
        let reply = match self.answered.pop_front() {
            Some(reply) => reply,
            None => match self.running.poll_next_unpin(cx) {
                Poll::Ready(Some(reply)) => reply,
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            },
        };
        if let Some(problem) = &reply.problem {
            self.failed = self.failed.saturating_add(1);
            self.last_problem = Some(problem.clone());
        }
        Poll::Ready(reply)
    }

    /// When [`Self::poll`] has something to do without being woken.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.resume_at
    }

    /// Requests that wait for their turn, and requests under way.
    #[must_use]
    pub fn in_flight(&self) -> (usize, usize) {
        (self.waiting.len(), self.running.len())
    }

    /// Weight spent in the running window, and milliseconds for which the host refuses us.
    #[must_use]
    pub fn account(&self, now: Stamp) -> Option<(u32, u64)> {
        let account = self.account.as_ref()?.lock();
        Some((account.used(now), account.banned_for_ms(now)))
    }

    fn send_what_may(&mut self, now: Stamp) {
        self.resume_at = None;
        while self.running.len() < self.limits.max_concurrent {
            let Some(request) = self.waiting.pop_front() else { return };
            let spent = request.account.lock().try_spend(now, request.weight);
            match spent {
                Ok(()) => {
                    self.sent = self.sent.saturating_add(1);
                    let (client, limits, deadline) = (self.client.clone(), self.limits, self.deadline);
                    self.running.push(Box::pin(get(client, request, limits, deadline)));
                }
                Err(Hold::Spent(wait)) => {
                    self.resume_at = Some(now.mono.saturating_add(wait));
                    self.waiting.push_front(request);
                    return;
                }
                // Known at once, so told at once: the engine decides when to ask again.
                Err(Hold::Banned(left)) => {
                    let left_ms = left.div_ceil(1_000_000);
                    let problem = format!("the host refuses this address for another {left_ms} ms");
                    self.answered.push_back(unanswered(request.id, request.url, Some(left_ms), problem));
                }
            }
        }
    }
}

async fn get(client: Client, request: Request, limits: RestLimits, deadline: Duration) -> Reply {
    let Request { id, url, account, .. } = request;
    let response = match client.get(&url).send().await {
        Ok(response) => response,
        Err(e) if e.is_timeout() => {
            return unanswered(id, url, None, format!("no reply within {} ms", deadline.as_millis()));
        }
        Err(e) => return unanswered(id, url, None, with_causes(&e.without_url())),
    };
    let status = response.status().as_u16();
    let asked = text(response.headers(), RETRY_AFTER.as_str()).and_then(retry_after_ms);
    let used = text(response.headers(), USED_WEIGHT).and_then(|v| v.trim().parse().ok());
    let imposed = account.lock().on_reply(sys::now(), status, used, asked);
    let retry_after_ms = imposed.or(asked);
    match body(response, limits.max_body_bytes).await {
        Ok(body) => Reply { request: id, url, status, retry_after_ms, body, problem: None },
        Err(problem) => unanswered(id, url, retry_after_ms, format!("status {status}: {problem}")),
    }
}

/// The whole body, counted as it is decompressed: a bomb is dropped at the bound, not after it.
async fn body(mut response: Response, max: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > max => {
                return Err(format!("the body is larger than {max} bytes"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(e) => return Err(with_causes(&e.without_url())),
        }
    }
}

fn unanswered(request: RequestId, url: String, retry_after_ms: Option<u64>, problem: String) -> Reply {
    let problem = Some(escaped(&problem));
    Reply { request, url, status: 0, retry_after_ms, body: Vec::new(), problem }
}

/// `Retry-After` in seconds; the form with a date is not spoken by any exchange here and counts as absent.
pub fn retry_after_ms(value: &str) -> Option<u64> {
    value.trim().parse::<u64>().ok().map(|s| s.saturating_mul(1000))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An error with what lies behind it: "error sending request" alone helps nobody.
fn with_causes(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
