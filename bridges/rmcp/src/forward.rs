//! All that a server does beside its tools, passed on as it is.
#![expect(
    deprecated,
    reason = "what rmcp has deprecated is passed on as long as it is there"
)]

use std::borrow::Cow;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CancelledNotificationParam,
    CompleteRequestParams, CompleteResult, CustomNotification, CustomRequest, CustomResult,
    DiscoverResult, ErrorData, GetPromptRequestParams, GetPromptResponse, GetSkillRequestParams,
    GetSkillResult, GetTaskParams, GetTaskResult, InitializeRequestParams, InitializeResult,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion,
    ReadResourceDirectoryRequestParams, ReadResourceDirectoryResult, ReadResourceRequestParams,
    ReadResourceResponse, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};

use crate::server::ToolServer;

type Request = RequestContext<RoleServer>;
type Notification = NotificationContext<RoleServer>;
type Answer<T> = Result<T, ErrorData>;

/// Methods that call that of the same name.
macro_rules! forward {
    ($($method:ident($($arg:ident: $ty:ty),*) -> $output:ty;)*) => {$(
        async fn $method(&self, $($arg: $ty),*) -> $output {
            self.handler.$method($($arg),*).await
        }
    )*};
}

// What is not passed on would be answered as if the server did not have it.
#[deny(clippy::missing_trait_methods)]
impl<H: ServerHandler> ServerHandler for ToolServer<H> {
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Request,
    ) -> Answer<CallToolResponse> {
        self.call(request, context).await
    }

    forward! {
        ping(context: Request) -> Answer<()>;
        initialize(request: InitializeRequestParams, context: Request) -> Answer<InitializeResult>;
        discover(context: Request) -> Answer<DiscoverResult>;
        complete(request: CompleteRequestParams, context: Request) -> Answer<CompleteResult>;
        set_level(request: SetLevelRequestParams, context: Request) -> Answer<()>;
        get_prompt(request: GetPromptRequestParams, context: Request) -> Answer<GetPromptResponse>;
        list_prompts(
            request: Option<PaginatedRequestParams>,
            context: Request
        ) -> Answer<ListPromptsResult>;
        list_resources(
            request: Option<PaginatedRequestParams>,
            context: Request
        ) -> Answer<ListResourcesResult>;
        list_resource_templates(
            request: Option<PaginatedRequestParams>,
            context: Request
        ) -> Answer<ListResourceTemplatesResult>;
        read_resource(
            request: ReadResourceRequestParams,
            context: Request
        ) -> Answer<ReadResourceResponse>;
        listen(context: SubscriptionContext) -> Answer<()>;
        subscribe(request: SubscribeRequestParams, context: Request) -> Answer<()>;
        unsubscribe(request: UnsubscribeRequestParams, context: Request) -> Answer<()>;
        list_tools(
            request: Option<PaginatedRequestParams>,
            context: Request
        ) -> Answer<ListToolsResult>;
        on_custom_request(request: CustomRequest, context: Request) -> Answer<CustomResult>;
        get_task(request: GetTaskParams, context: Request) -> Answer<GetTaskResult>;
        update_task(request: UpdateTaskParams, context: Request) -> Answer<()>;
        cancel_task(request: CancelTaskParams, context: Request) -> Answer<()>;
        list_skills(
            request: Option<PaginatedRequestParams>,
            context: Request
        ) -> Answer<ListSkillsResult>;
        get_skill(request: GetSkillRequestParams, context: Request) -> Answer<GetSkillResult>;
        read_resource_directory(
            request: ReadResourceDirectoryRequestParams,
            context: Request
        ) -> Answer<ReadResourceDirectoryResult>;
        on_cancelled(notification: CancelledNotificationParam, context: Notification) -> ();
        on_progress(notification: ProgressNotificationParam, context: Notification) -> ();
        on_initialized(context: Notification) -> ();
        on_roots_list_changed(context: Notification) -> ();
        on_custom_notification(notification: CustomNotification, context: Notification) -> ();
    }

    fn negotiate_initialize(&self, request: &InitializeRequestParams) -> Answer<InitializeResult> {
        self.handler.negotiate_initialize(request)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.handler.supported_protocol_versions()
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        self.handler.accepted_subscription_filter(requested)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.handler.get_tool(name)
    }

    fn get_info(&self) -> ServerConfig {
        self.handler.get_info()
    }
}
