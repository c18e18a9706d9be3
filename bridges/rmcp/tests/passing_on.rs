//! What is no call of a tool is none of this crate's business: it is passed on as it is.
#![expect(deprecated, reason = "what rmcp has deprecated is passed on, too")]

mod common;

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use callbacks::{Callbacks, handler, testing::Recorder};
use callbacks_rmcp::{ToolClient, ToolServer, events};
use common::params;
use common::server::Probe;
use common::wire::{Client, User, connect_here};
use rmcp::model::*;
use rmcp::service::{NotificationContext, RequestContext, ServiceExt};
use rmcp::{RoleServer, ServerHandler};
use serde_json::json;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// A server that writes down which of its methods are called.
#[derive(Clone, Default)]
struct Everything(Arc<Mutex<Vec<&'static str>>>);

impl Everything {
    fn called(&self, method: &'static str) {
        self.0.lock().unwrap().push(method);
    }
}

type Request = RequestContext<RoleServer>;
type Notification = NotificationContext<RoleServer>;

impl ServerHandler for Everything {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .enable_completions()
            .enable_logging()
            .build();
        ServerConfig::new(capabilities).with_instructions("read slowly")
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.called("supported_protocol_versions");
        Cow::Borrowed(&[ProtocolVersion::V_2025_06_18])
    }

    async fn ping(&self, _: Request) -> Result<(), ErrorData> {
        self.called("ping");
        Ok(())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: Request,
    ) -> Result<CompleteResult, ErrorData> {
        self.called("complete");
        Ok(CompleteResult::default())
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: Request) -> Result<(), ErrorData> {
        self.called("set_level");
        Ok(())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: Request,
    ) -> Result<GetPromptResponse, ErrorData> {
        self.called("get_prompt");
        Err(ErrorData::invalid_params(request.name, None))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Request,
    ) -> Result<ListPromptsResult, ErrorData> {
        self.called("list_prompts");
        Ok(ListPromptsResult::with_all_items(vec![Prompt::new(
            "joke",
            Some("a joke"),
            None,
        )]))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Request,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.called("list_resources");
        Ok(ListResourcesResult::default())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Request,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.called("list_resource_templates");
        Ok(ListResourceTemplatesResult::default())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Request,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.called("read_resource");
        let contents = vec![ResourceContents::text("a page", request.uri)];
        Ok(ReadResourceResult::new(contents).into())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Request) -> Result<(), ErrorData> {
        self.called("subscribe");
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Request) -> Result<(), ErrorData> {
        self.called("unsubscribe");
        Ok(())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Request,
    ) -> Result<ListToolsResult, ErrorData> {
        self.called("list_tools");
        Ok(ListToolsResult::with_all_items(vec![Tool::new(
            "add",
            "adds",
            JsonObject::new(),
        )]))
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: Request,
    ) -> Result<CustomResult, ErrorData> {
        self.called("on_custom_request");
        Ok(CustomResult::new(json!({ "method": request.method })))
    }

    async fn on_initialized(&self, _: Notification) {
        self.called("on_initialized");
    }

    async fn on_roots_list_changed(&self, _: Notification) {
        self.called("on_roots_list_changed");
    }

    async fn on_progress(&self, _: ProgressNotificationParam, _: Notification) {
        self.called("on_progress");
    }

    async fn on_cancelled(&self, _: CancelledNotificationParam, _: Notification) {
        self.called("on_cancelled");
    }

    async fn on_custom_notification(&self, _: CustomNotification, _: Notification) {
        self.called("on_custom_notification");
    }
}

/// Asks a server for all that there is, and writes down what it answers.
async fn ask(client: &Client) -> Vec<String> {
    macro_rules! answers {
        ($($answer:expr),* $(,)?) => {
            vec![$(format!("{:?}", $answer.await)),*]
        };
    }
    let reference = Reference::for_prompt("joke");
    let argument = ArgumentInfo::new("about", "te");
    let progress = ProgressNotificationParam::new(ProgressToken(NumberOrString::Number(1)), 1.0);
    let cancelled = CancelledNotificationParam::new(Some(NumberOrString::Number(99)), None);
    let custom = CustomNotification::new("x/told", None);
    let mut answers = answers![
        client.send_request(ClientRequest::PingRequest(PingRequest::default())),
        client.complete(CompleteRequestParams::new(reference, argument)),
        client.set_level(SetLevelRequestParams::new(LoggingLevel::Info)),
        client.get_prompt(GetPromptRequestParams::new("joke")),
        client.list_prompts(None),
        client.list_resources(None),
        client.list_resource_templates(None),
        client.read_resource(ReadResourceRequestParams::new("book:1")),
        client.subscribe(SubscribeRequestParams::new("book:1")),
        client.unsubscribe(UnsubscribeRequestParams::new("book:1")),
        client.list_tools(None),
        client.send_request(ClientRequest::CustomRequest(CustomRequest::new(
            "x/ask", None
        ))),
        client.notify_roots_list_changed(),
        client.notify_progress(progress),
        client.notify_cancelled(cancelled),
        client.send_notification(ClientNotification::CustomNotification(custom)),
        // No such method at this server.
        client.call_tool(params("add", &json!({}))),
    ];
    answers.push(format!("{:?}", client.peer_info()));
    answers
}

#[tokio::test]
async fn a_server_answers_as_without_runs() {
    let (plain, wrapped) = (Everything::default(), Everything::default());
    let tools = ToolClient::new();
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let server = ToolServer::new(wrapped.clone(), callbacks);
    let (of_wrapped, _server) = connect_here(&tools, server).await;
    let (of_plain, _server) = connect_here(&tools, plain.clone()).await;
    assert_eq!(ask(&of_wrapped).await, ask(&of_plain).await);

    // Notifications are handled in tasks that nobody waits for.
    let called = |server: &Everything| {
        let mut called = server.0.lock().unwrap().clone();
        called.sort_unstable();
        called
    };
    let notified = |server: &Everything| {
        let called = called(server);
        [
            "on_initialized",
            "on_roots_list_changed",
            "on_progress",
            "on_cancelled",
            "on_custom_notification",
        ]
        .iter()
        .all(|method| called.contains(method))
    };
    while !notified(&wrapped) || !notified(&plain) {
        tokio::task::yield_now().await;
    }
    assert_eq!(called(&wrapped), called(&plain));
    // Only what is called as a tool has a run.
    assert_eq!(recorder.len(), 2);
    recorder.assert_balanced();
}

/// Counts warnings of this crate.
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("callbacks_rmcp")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        self.0
            .lock()
            .unwrap()
            .push(event.metadata().level().to_string());
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn without_its_transport_a_client_says_once_that_it_hears_no_progress() {
    let warnings = Arc::default();
    let _guard = tracing::subscriber::set_default(Warnings(Arc::clone(&warnings)));
    let (here, there) = tokio::io::duplex(4096);
    let server = tokio::spawn(Probe::new().serve(there));
    let client = User::default().serve(here).await.unwrap();
    let _server = server.await.unwrap().unwrap();
    let (tools, progress) = (ToolClient::new(), Recorder::of::<events::Events>());
    let callbacks = Callbacks::new().with(handler(progress.clone()).inline());
    for _ in 0..3 {
        let call = params("count", &json!({ "up_to": 3 }));
        tools.call_tool(&client, call, &callbacks).await.unwrap();
    }
    assert!(progress.is_empty());
    assert_eq!(*warnings.lock().unwrap(), ["WARN"]);
}

/// Tokens of one connection are those of another, too.
#[tokio::test]
async fn connections_that_share_a_tool_client_are_told_apart() {
    let tools = ToolClient::new();
    let before = format!("{tools:?}");
    let (one, _server) = connect_here(&tools, Probe::new()).await;
    let (other, _server) = connect_here(&tools, Probe::new()).await;
    let of_one = Recorder::of::<events::Events>();
    let of_other = Recorder::of::<events::Events>();
    let (for_one, for_other) = (
        Callbacks::new().with(of_one.clone()),
        Callbacks::new().with(of_other.clone()),
    );
    let count = |up_to: u32| params("count", &json!({ "up_to": up_to }));
    let (result, result_of_other) = tokio::join!(
        tools.call_tool(&one, count(20), &for_one).into_future(),
        tools.call_tool(&other, count(30), &for_other).into_future(),
    );
    result.and(result_of_other).unwrap();
    assert_eq!((of_one.len(), of_other.len()), (20, 30));
    // Nothing is kept of calls that are over.
    let after = format!("{tools:?}").replace("connections: 2", "connections: 0");
    assert_eq!(after, before);
}

#[tokio::test]
async fn with_its_transport_a_client_warns_of_nothing() {
    let warnings = Arc::default();
    let _guard = tracing::subscriber::set_default(Warnings(Arc::clone(&warnings)));
    let tools = ToolClient::new();
    let (client, _server) = connect_here(&tools, Probe::new()).await;
    let (silent, heard) = (Callbacks::new(), Recorder::of::<events::Events>());
    for callbacks in [
        &silent,
        &silent.with(Recorder::new()),
        &silent.with(heard.clone()),
    ] {
        let call = params("count", &json!({ "up_to": 3 }));
        tools.call_tool(&client, call, callbacks).await.unwrap();
    }
    assert_eq!(heard.len(), 3);
    assert!(warnings.lock().unwrap().is_empty());
}
