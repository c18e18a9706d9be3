//! Exactly one end for each start, wherever a call breaks off, on either side.

mod common;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use callbacks::events::{ToolEnd, ToolError};
use callbacks::testing::{Faulty, Recorder};
use callbacks::{BoxFuture, Callbacks, Decision, ErrorKind, Serialized, callback_handler, handler};
use callbacks_rmcp::{CallError, ToolClient, ToolServer, events};
use common::server::{Probe, while_pending};
use common::wire::connect_here;
use common::{Polls, error, over, params, shortly};
use rmcp::model::{
    CallToolRequest, CallToolResponse, CancelledNotificationParam, NumberOrString,
    RequestMetaObject, ServerResult,
};
use rmcp::service::{PeerRequestOptions, RequestContext, ServiceError};
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Value, json};

/// Handlers that suspend, so that there are more points to break off at.
fn suspending(recorder: &Recorder) -> Callbacks {
    Callbacks::new()
        .with(Faulty::calling_async(|_| yields()).asynchronous())
        .with(
            Faulty::calling_async(|_| yields())
                .of::<events::Events>()
                .asynchronous(),
        )
        .with(recorder.clone().asynchronous())
}

/// Often enough to suspend the emission: a poll of that may poll a handler several times.
async fn yields() {
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
}

/// Two events: the start, and how it ended.
fn broken_off(recorder: &Recorder) -> Option<ErrorKind> {
    let events = recorder.events();
    assert_eq!(events.len(), 2, "{events:?}");
    // Where it was at its end already, that is what it is.
    let ended = events[1].is::<ToolEnd<'_>>();
    (!ended).then(|| error(&events).kind)
}

/// As many as started, soon.
async fn balanced(recorder: &Recorder) {
    recorder.until(|_| recorder.balanced().is_ok()).await;
}

/// Breaks the call off at every point, until it comes through.
async fn clients_break_off(tool: &'static str) {
    let probe = Probe::new();
    let tools = ToolClient::new();
    let (client, _server) = connect_here(&tools, probe.with_runs()).await;
    let mut kinds = Vec::new();
    for polls in 0.. {
        let recorder = Recorder::new();
        let callbacks = suspending(&recorder);
        let call = tools.call_tool(&client, params(tool, &json!({ "up_to": 3 })), &callbacks);
        let result = Polls::new(call.into_future(), polls).await;
        balanced(&recorder).await;
        if let Some(result) = result {
            result.unwrap();
            assert_eq!(
                shortly(&recorder.events()),
                [format!("> {tool}"), format!("< {tool}")]
            );
            break;
        }
        if !recorder.is_empty() {
            kinds.push(broken_off(&recorder));
        }
    }
    assert!(kinds.contains(&Some(ErrorKind::Dropped)), "{kinds:?}");
    balanced(&probe.recorder).await;
}

#[tokio::test]
async fn a_client_that_breaks_off_at_any_point() {
    clients_break_off("count").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_that_breaks_off_at_any_point_on_many_threads() {
    clients_break_off("count").await;
}

/// A task that drops what it runs when it is woken, as a scheduler may do with one that is cancelled.
struct DropOnWake(Mutex<Option<BoxFuture<'static, ()>>>);

impl Wake for DropOnWake {
    fn wake(self: Arc<Self>) {
        let call = self.0.lock().unwrap().take();
        drop(call);
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_where_it_is_woken() {
    let probe = Probe::new();
    let tools = ToolClient::new();
    let (client, _server) = connect_here(&tools, probe.with_runs()).await;
    let (recorder, progress) = (Recorder::new(), Recorder::of::<events::Events>());
    let callbacks = Callbacks::new()
        .with(handler(recorder.clone()).inline())
        .with(handler(progress.clone()).inline());
    let client = Arc::new(client);
    let call = {
        let client = client.clone();
        async move {
            let wait = tools.call_tool(&client, params("wait", &json!({})), &callbacks);
            wait.await.unwrap();
        }
    };
    let task = Arc::new(DropOnWake(Mutex::new(Some(Box::pin(call)))));
    let waker = Waker::from(task.clone());
    let mut call = task.0.lock().unwrap().take().unwrap();
    assert!(
        call.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    *task.0.lock().unwrap() = Some(call);
    // It is woken by the first progress.
    recorder.until(|events| over(events) == 1).await;
    assert_eq!(shortly(&recorder.events()), ["> wait", "! wait dropped"]);
    assert!(progress.is_empty());
    let events = probe.recorder.until(|events| over(events) == 1).await;
    assert_eq!(shortly(&events), ["> wait", "! wait cancelled"]);
}

/// The context of a request, with a connection behind it.
fn context(peer: &rmcp::Peer<RoleServer>) -> RequestContext<RoleServer> {
    let mut context = RequestContext::new(NumberOrString::Number(1), peer.clone());
    let meta = json!({ "progressToken": 7 });
    context.meta = RequestMetaObject::from(meta.as_object().unwrap().clone());
    context
}

fn text(response: CallToolResponse) -> Value {
    serde_json::to_value(ServerResult::from(response)).unwrap()
}

#[tokio::test]
async fn a_server_that_breaks_off_at_any_point() {
    let probe = Probe::new();
    let (_client, service) = connect_here(&ToolClient::new(), probe.clone()).await;
    let mut kinds = Vec::new();
    for polls in 0.. {
        let recorder = Recorder::new();
        let server = ToolServer::new(probe.clone(), suspending(&recorder));
        let call = server.call_tool(params("count", &json!({ "up_to": 3 })), context(&service));
        let result = Polls::new(call, polls).await;
        balanced(&recorder).await;
        if let Some(result) = result {
            result.unwrap();
            assert_eq!(shortly(&recorder.events()), ["> count", "< count"]);
            break;
        }
        if !recorder.is_empty() {
            kinds.push(broken_off(&recorder));
        }
    }
    assert!(
        kinds.contains(&Some(ErrorKind::Dropped)) && kinds.contains(&None),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn a_call_that_is_cancelled_at_any_point() {
    let probe = Probe::new();
    let (_client, service) = connect_here(&ToolClient::new(), probe.clone()).await;
    let arguments = json!({ "up_to": 3 });
    let without = probe
        .call_tool(params("count", &arguments), context(&service))
        .await;
    let without = text(without.unwrap());
    probe.entered.store(0, Ordering::SeqCst);
    let mut kinds = Vec::new();
    for polls in 0.. {
        let recorder = Recorder::new();
        let server = ToolServer::new(probe.clone(), suspending(&recorder));
        let context = context(&service);
        let called_off = context.ct.clone();
        let call = server.call_tool(params("count", &arguments), context);
        let mut call = Polls::new(call, polls);
        let through = (&mut call).await;
        called_off.cancel();
        let came_through = through.is_some();
        let result = match through {
            Some(result) => result,
            None => call.future.await,
        };
        balanced(&recorder).await;
        if came_through {
            assert_eq!(shortly(&recorder.events()), ["> count", "< count"]);
            assert_eq!(text(result.unwrap()), without);
            break;
        }
        let kind = broken_off(&recorder);
        kinds.push(kind);
        let begun = probe.entered.swap(0, Ordering::SeqCst);
        match result {
            // The tool has the last word on its result, whatever becomes of it.
            Ok(result) => {
                assert_eq!((begun, text(result)), (1, without.clone()));
                assert_ne!(kind, Some(ErrorKind::Dropped));
            }
            Err(error) => {
                assert_eq!((begun, &*error.message), (0, "the call was cancelled"));
            }
        }
    }
    // While handlers are told of its start, while it runs, and while they are told of its end.
    kinds.dedup();
    let (dropped, cancelled) = (Some(ErrorKind::Dropped), Some(ErrorKind::Cancelled));
    assert_eq!(kinds, [dropped, cancelled, None]);
}

/// Calls the request off that it is asked about, and has nothing against it.
struct CallsOff(Box<dyn Fn() + Send + Sync>);

#[callback_handler]
impl CallsOff {
    fn on_tool_request(&self) -> Decision<String, Value> {
        (self.0)();
        Decision::Continue
    }
}

#[tokio::test]
async fn a_call_that_is_cancelled_as_it_is_decided_does_not_begin() {
    let probe = Probe::new();
    let (_client, service) = connect_here(&ToolClient::new(), probe.clone()).await;
    let (recorder, context) = (Recorder::new(), context(&service));
    let called_off = context.ct.clone();
    let calls_off = CallsOff(Box::new(move || called_off.cancel()));
    let callbacks = Callbacks::new()
        .with(handler(calls_off).inline())
        .with(handler(recorder.clone()).inline());
    let server = ToolServer::new(probe.clone(), callbacks);
    let result = server
        .call_tool(params("nothing", &json!({})), context)
        .await;
    assert_eq!(result.unwrap_err().message, "the call was cancelled");
    assert_eq!(probe.entered.load(Ordering::SeqCst), 0);
    assert_eq!(
        shortly(&recorder.events()),
        ["> nothing", "! nothing cancelled"]
    );
}

#[tokio::test]
async fn a_deaf_tool_is_told_of_as_cancelled_while_it_still_runs() {
    let probe = Probe::new();
    let (_client, service) = connect_here(&ToolClient::new(), probe.clone()).await;
    let server = probe.with_runs();
    let context = context(&service);
    let called_off = context.ct.clone();
    let call =
        tokio::spawn(async move { server.call_tool(params("deaf", &json!({})), context).await });
    probe.progress.until(|progress| !progress.is_empty()).await;
    called_off.cancel();
    let events = probe.recorder.until(|events| over(events) == 1).await;
    assert_eq!(shortly(&events), ["> deaf", "! deaf cancelled"]);
    assert!(!call.is_finished());
    // What it returns in the end is passed on.
    probe.release.notify_one();
    let result = text(call.await.unwrap().unwrap());
    assert_eq!(result["content"][0]["text"], "late");
    assert_eq!(probe.recorder.len(), 2);
    probe.recorder.assert_balanced();
}

#[tokio::test]
async fn a_handler_that_is_slow_does_not_hold_up_a_tool_that_is_cancelled() {
    let probe = Probe::new();
    let (_client, service) = connect_here(&ToolClient::new(), probe.clone()).await;
    let (slow, stall) = Faulty::stall();
    let callbacks = probe
        .callbacks
        .with(slow.on::<ToolError<'_>>().asynchronous());
    let (server, context) = (ToolServer::new(probe.clone(), callbacks), context(&service));
    let called_off = context.ct.clone();
    let call = async move { server.call_tool(params("deaf", &json!({})), context).await };
    let call = tokio::spawn(call);
    probe.progress.until(|progress| !progress.is_empty()).await;
    called_off.cancel();
    stall.entered().await;
    // The tool goes on, while its cancellation is still being told.
    probe.release.notify_one();
    probe.finished.notified().await;
    assert!(!call.is_finished());
    drop(stall);
    call.await.unwrap().unwrap();
    balanced(&probe.recorder).await;
}

/// Cancels a call whose tool panics then: before that is told, or after.
async fn panics_when_cancelled(told: bool) {
    let probe = Probe::new();
    let (_client, service) = connect_here(&ToolClient::new(), probe.clone()).await;
    let (server, context) = (probe.with_runs(), context(&service));
    let called_off = context.ct.clone();
    let call = async move {
        server
            .call_tool(params("deaf_panic", &json!({})), context)
            .await
    };
    let call = tokio::spawn(call);
    probe.progress.until(|progress| !progress.is_empty()).await;
    called_off.cancel();
    if told {
        probe.recorder.until(|events| over(events) == 1).await;
    }
    probe.release.notify_one();
    assert!(call.await.unwrap_err().is_panic());
    balanced(&probe.recorder).await;
    let kind = if told { "cancelled" } else { "panicked" };
    let error = format!("! deaf_panic {kind}");
    assert_eq!(
        shortly(&probe.recorder.events()),
        ["> deaf_panic".to_owned(), error]
    );
}

#[tokio::test]
async fn a_tool_that_panics_when_it_is_cancelled() {
    panics_when_cancelled(false).await;
    panics_when_cancelled(true).await;
}

#[tokio::test]
async fn a_call_that_its_own_client_cancels() {
    let probe = Probe::new();
    let tools = ToolClient::new();
    let (client, _server) = connect_here(&tools, probe.with_runs()).await;
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let peer = client.peer();
    let call = tools.call(
        params("wait", &json!({})),
        &callbacks,
        |params| async move {
            let options = PeerRequestOptions::no_options();
            let request = CallToolRequest::new(params).into();
            let handle = peer.send_cancellable_request(request, options).await?;
            probe.progress.until(|progress| !progress.is_empty()).await;
            let reason = Some("changed my mind".to_owned());
            let cancelled = CancelledNotificationParam::new(Some(handle.id.clone()), reason);
            peer.notify_cancelled(cancelled).await?;
            match handle.await_response().await? {
                ServerResult::CallToolResult(result) => Ok(result),
                _ => Err(ServiceError::UnexpectedResponse),
            }
        },
    );
    let result = call.await;
    assert!(matches!(
        result,
        Err(CallError::Service(ServiceError::Cancelled { .. }))
    ));
    let error = error(&recorder.events());
    assert_eq!(error.kind, ErrorKind::Cancelled);
    assert!(error.message.contains("changed my mind"), "{error}");
    recorder.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves() {
    let probe = Probe::new();
    let tools = ToolClient::new();
    let (client, _server) = connect_here(&tools, probe.with_runs()).await;
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let call = tools.call_tool(&client, params("wait", &json!({})), &callbacks);
    let mut call = Box::pin(call.into_future());
    let entered = probe.progress.until(|progress| !progress.is_empty());
    while_pending(&mut call, entered).await;
    client.cancellation_token().cancel();
    let result = call.await;
    assert!(matches!(
        result,
        Err(CallError::Service(ServiceError::TransportClosed))
    ));
    assert_eq!(error(&recorder.events()).kind, ErrorKind::Failed);
    recorder.assert_balanced();
    // The server notices that the connection is closed, and cancels what is left after a while.
    let events = probe.recorder.until(|events| over(events) == 1).await;
    assert_eq!(shortly(&events), ["> wait", "! wait cancelled"]);
    probe.recorder.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_leaves() {
    let probe = Probe::new();
    let tools = ToolClient::new();
    let (client, server) = connect_here(&tools, probe.with_runs()).await;
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let call = tools.call_tool(&client, params("hang", &json!({})), &callbacks);
    let mut call = Box::pin(call.into_future());
    let entered = probe.progress.until(|progress| !progress.is_empty());
    while_pending(&mut call, entered).await;
    let (left, result) = tokio::join!(server.cancel(), call);
    left.unwrap();
    assert!(matches!(
        result,
        Err(CallError::Service(ServiceError::TransportClosed))
    ));
    assert_eq!(error(&recorder.events()).kind, ErrorKind::Failed);
    recorder.assert_balanced();
    let events = probe.recorder.until(|events| over(events) == 1).await;
    assert_eq!(shortly(&events), ["> hang", "! hang cancelled"]);
    probe.recorder.assert_balanced();
}

#[tokio::test]
async fn a_call_whose_run_is_closed_around_it_has_its_result() {
    static AGENT: Serialized = Serialized::new("agent");
    let probe = Probe::new();
    let tools = ToolClient::new();
    let (client, _server) = connect_here(&tools, probe.with_runs()).await;
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let agent = callbacks.chain_start(&AGENT, json!({})).await.unwrap();
    let within = agent.callbacks().with(Recorder::of::<events::Events>());
    let call = tools.call_tool(&client, params("deaf", &json!({})), &within);
    let mut call = Box::pin(call.into_future());
    let entered = probe.progress.until(|progress| !progress.is_empty());
    while_pending(&mut call, entered).await;
    agent.end(json!({})).await.unwrap();
    assert_eq!(
        shortly(&recorder.events()),
        ["> agent", "> deaf", "! deaf abandoned", "< agent"]
    );
    probe.release.notify_one();
    let result = call.await.unwrap();
    assert_eq!(result.content[0].as_text().unwrap().text, "late");
    assert_eq!(recorder.len(), 4);
    recorder.assert_balanced();
}

#[tokio::test]
async fn a_handler_that_is_slow_does_not_hold_up_the_tool() {
    let probe = Probe::new();
    let tools = ToolClient::new();
    let (client, _server) = connect_here(&tools, probe.with_runs()).await;
    let (slow, stall) = Faulty::stall();
    let (recorder, progress) = (Recorder::new(), Recorder::of::<events::Events>());
    let callbacks = Callbacks::new()
        .with(slow.of::<events::Events>().asynchronous())
        .with(progress.clone())
        .with(recorder.clone());
    let arguments = json!({ "up_to": 100 });
    let call = tools.call_tool(&client, params("count", &arguments), &callbacks);
    let mut call = Box::pin(call.into_future());
    while_pending(&mut call, stall.entered()).await;
    // The tool goes on to its end, while the first event of its progress is still on its way.
    let ended = probe.recorder.until(|events| over(events) == 1);
    while_pending(&mut call, ended).await;
    assert_eq!(over(&recorder.events()), 0);
    drop(stall);
    call.await.unwrap();
    // But the call returns when all of it is told.
    assert_eq!(progress.len(), 100);
    recorder.assert_balanced();
}
