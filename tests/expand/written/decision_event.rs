mod shop {
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    /// May this order go out?
    pub struct Order<'a> {
        pub id: &'a str,
    }
    /// The event set of this module, as a type.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub enum Events {}
    impl ::callbacks::EventSet for Events {
        type Ref<'a> = AnyEvent<'a>;
        type Owned = owned::AnyEvent;
        type Reply = AnyReply;
        const METHODS: &'static [&'static str] = &["on_order"];
        const DECISIONS: ::callbacks::Interests = ::callbacks::Interests::of(&[0u32]);
        fn index(event: &AnyEvent<'_>) -> u32 {
            match event {
                AnyEvent::Order(_) => 0u32,
            }
        }
        fn own(event: &AnyEvent<'_>) -> owned::AnyEvent {
            match event {
                AnyEvent::Order(event) => {
                    owned::AnyEvent::Order(owned::Order {
                        id: ::std::borrow::ToOwned::to_owned(event.id),
                    })
                }
            }
        }
        fn view(event: &owned::AnyEvent) -> AnyEvent<'_> {
            match event {
                owned::AnyEvent::Order(event) => {
                    AnyEvent::Order(Order {
                        id: ::core::borrow::Borrow::borrow(&event.id),
                    })
                }
            }
        }
    }
    /// Any event of this set.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    #[non_exhaustive]
    pub enum AnyEvent<'a> {
        /// A [`Order`].
        Order(Order<'a>),
    }
    /// An answer to any decision event of this set.
    #[non_exhaustive]
    pub enum AnyReply {
        /// An answer to [`Order`].
        Order(super::Verdict),
    }
    impl ::core::fmt::Debug for AnyReply {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.write_str(
                match self {
                    Self::Order(_) => "Order",
                },
            )
        }
    }
    impl<'fields> ::callbacks::Event for Order<'fields> {
        type Set = Events;
        type At<'event> = Order<'event>;
        type Any = AnyEvent<'fields>;
        type Reply = super::Verdict;
        const INDEX: u32 = 0u32;
        const NAME: &'static str = "Order";
        fn view(&self) -> AnyEvent<'_> {
            AnyEvent::Order(*self)
        }
        #[inline]
        fn into_any(self) -> AnyEvent<'fields> {
            AnyEvent::Order(self)
        }
        #[inline]
        fn any<'view>(any: &'view AnyEvent<'fields>) -> &'view AnyEvent<'view> {
            any
        }
        fn of<'view, 'event>(
            any: &'view AnyEvent<'event>,
        ) -> ::core::option::Option<&'view Self::At<'event>>
        where
            'event: 'view,
        {
            match any {
                AnyEvent::Order(event) => ::core::option::Option::Some(event),
            }
        }
        fn any_reply(
            reply: Self::Reply,
        ) -> ::core::option::Option<<Events as ::callbacks::EventSet>::Reply> {
            ::core::option::Option::Some(AnyReply::Order(reply))
        }
    }
    impl ::callbacks::DecisionEvent for Order<'_> {
        type Owned = owned::Order;
        fn to_twin(&self) -> owned::Order {
            let event = self;
            owned::Order {
                id: ::std::borrow::ToOwned::to_owned(event.id),
            }
        }
        fn into_twin(any: owned::AnyEvent) -> ::core::option::Option<owned::Order> {
            match any {
                owned::AnyEvent::Order(event) => ::core::option::Option::Some(event),
            }
        }
        fn twin(any: &mut owned::AnyEvent) -> ::core::option::Option<&mut owned::Order> {
            match any {
                owned::AnyEvent::Order(event) => ::core::option::Option::Some(event),
            }
        }
        fn reply(any: AnyReply) -> ::core::option::Option<Self::Reply> {
            match any {
                AnyReply::Order(reply) => ::core::option::Option::Some(reply),
            }
        }
    }
    /// Handles the events of this set with plain methods, one for each event.
    ///
    /// `#[callback_handler]` implements it; to write it by hand, register with [`ByHand`].
    pub trait CallbackHandler {
        /// The events to be called for. Default: all.
        fn interests(&self) -> ::callbacks::Interests {
            ::callbacks::Interests::ALL
        }
        /// May this order go out?
        ///
        /// Called for every [`Order`]. Default: has no objection.
        fn on_order(
            &self,
            event: &Order<'_>,
            run: &::callbacks::Run<'_>,
        ) -> ::core::result::Result<super::Verdict, ::callbacks::BoxError> {
            let _ = (event, run);
            ::core::result::Result::Ok(::callbacks::__private::go_on::<Order<'_>>())
        }
    }
    /// Handles the events of this set with async methods, one for each event.
    ///
    /// `#[callback_handler]` implements it; to write it by hand, put `#[async_trait]` on the
    /// impl and register with [`ByHand`].
    pub trait AsyncCallbackHandler {
        /// The events to be called for. Default: all.
        fn interests(&self) -> ::callbacks::Interests {
            ::callbacks::Interests::ALL
        }
        /// May this order go out?
        ///
        /// Called for every [`Order`]. Default: has no objection.
        fn on_order<'this, 'event, 'fields, 'run, 'info, 'future>(
            &'this self,
            event: &'event Order<'fields>,
            run: &'run ::callbacks::Run<'info>,
        ) -> ::callbacks::BoxFuture<
            'future,
            ::core::result::Result<super::Verdict, ::callbacks::BoxError>,
        >
        where
            'this: 'future,
            'event: 'future,
            'fields: 'future,
            'run: 'future,
            'info: 'future,
            Self: 'future,
        {
            let _ = (event, run);
            ::std::boxed::Box::pin(
                ::core::future::ready(
                    ::core::result::Result::Ok(
                        ::callbacks::__private::go_on::<Order<'_>>(),
                    ),
                ),
            )
        }
    }
    /// Handles the events of this set with plain methods that are never called two at once.
    ///
    /// `#[callback_handler]` implements it for a block with methods that take `&mut self`.
    pub trait ExclusiveCallbackHandler {
        /// May this order go out?
        ///
        /// Called for every [`Order`]. Default: has no objection.
        fn on_order(
            &mut self,
            event: &Order<'_>,
            run: &::callbacks::Run<'_>,
        ) -> ::core::result::Result<super::Verdict, ::callbacks::BoxError> {
            let _ = (event, run);
            ::core::result::Result::Ok(::callbacks::__private::go_on::<Order<'_>>())
        }
    }
    /// Registers a type that implements [`CallbackHandler`] and [`AsyncCallbackHandler`] by
    /// hand.
    #[derive(
        ::core::clone::Clone,
        ::core::marker::Copy,
        ::core::fmt::Debug,
        ::core::default::Default,
    )]
    pub struct ByHand<T>(pub T);
    impl<T> ::callbacks::Deliver<Events> for ByHand<T>
    where
        T: CallbackHandler + AsyncCallbackHandler + 'static,
    {
        fn name(&self) -> &'static str {
            ::core::any::type_name::<T>()
        }
        fn interests(&self) -> ::callbacks::Interests {
            CallbackHandler::interests(&self.0)
        }
        fn async_interests(&self) -> ::callbacks::Interests {
            AsyncCallbackHandler::interests(&self.0)
        }
        fn deliver(
            &self,
            run: &::callbacks::Run<'_>,
            event: &AnyEvent<'_>,
        ) -> ::callbacks::Outcome {
            __private::deliver(&self.0, run, event)
        }
        fn deliver_async<'a, 'e: 'a>(
            &'a self,
            run: &'a ::callbacks::Run<'e>,
            event: &'a AnyEvent<'e>,
        ) -> ::callbacks::BoxFuture<'a, ::callbacks::Outcome> {
            __private::deliver_async(&self.0, run, event)
        }
        fn ask(
            &self,
            run: &::callbacks::Run<'_>,
            event: &AnyEvent<'_>,
        ) -> ::callbacks::Answer<Events> {
            __private::ask(&self.0, run, event)
        }
        fn ask_async<'a, 'e: 'a>(
            &'a self,
            run: &'a ::callbacks::Run<'e>,
            event: &'a AnyEvent<'e>,
        ) -> ::callbacks::BoxFuture<'a, ::callbacks::Answer<Events>> {
            __private::ask_async(&self.0, run, event)
        }
    }
    impl<T> ::callbacks::Handler<Events> for ByHand<T>
    where
        T: CallbackHandler + AsyncCallbackHandler + ::core::marker::Send
            + ::core::marker::Sync + 'static,
    {
        type Delivery = Self;
        fn register(self) -> ::callbacks::Registered<Events, Self> {
            ::callbacks::Registered::new(::std::sync::Arc::new(self))
        }
    }
    /// The events of this set as values that own their fields.
    pub mod owned {
        #[allow(unused_imports)]
        use super::*;
        /// The owned twin of [`Order`](super::Order).
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        pub struct Order {
            /// See [`Order::id`](super::Order::id).
            pub id: ::std::string::String,
        }
        /// Any event of the set, owned.
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #[non_exhaustive]
        pub enum AnyEvent {
            /// A [`Order`].
            Order(Order),
        }
    }
    /// What generated code needs, at the end of whatever path leads to this set.
    #[doc(hidden)]
    #[allow(clippy::pub_use)]
    pub mod __private {
        pub use ::callbacks::__private::*;
        #[doc(hidden)]
        #[allow(unused_macros, non_local_definitions)]
        macro_rules! __shop_events_bfba6c61ffb0dd26 {
            ({ $($set:tt)* } $($handler:tt)*) => {
                $($set)* ::__private::expand_handler! { { $($set)* } { on_order =
                Order['_] { id } -> "Verdict" } {} $($handler)* }
            };
        }
        #[doc(hidden)]
        #[allow(unused_imports)]
        pub(crate) use __shop_events_bfba6c61ffb0dd26 as table;
        pub fn deliver<H: super::CallbackHandler>(
            handler: &H,
            run: &::callbacks::Run<'_>,
            event: &super::AnyEvent<'_>,
        ) -> ::callbacks::Outcome {
            let _ = (handler, run);
            match event {
                super::AnyEvent::Order(_) => ::core::result::Result::Ok(()),
            }
        }
        pub fn deliver_mut<H: super::ExclusiveCallbackHandler>(
            handler: &mut H,
            run: &::callbacks::Run<'_>,
            event: &super::AnyEvent<'_>,
        ) -> ::callbacks::Outcome {
            let _ = (handler, run);
            match event {
                super::AnyEvent::Order(_) => ::core::result::Result::Ok(()),
            }
        }
        pub fn deliver_async<'a, 'e: 'a, H: super::AsyncCallbackHandler>(
            handler: &'a H,
            run: &'a ::callbacks::Run<'e>,
            event: &'a super::AnyEvent<'e>,
        ) -> ::callbacks::BoxFuture<'a, ::callbacks::Outcome> {
            let _ = (handler, run);
            match event {
                super::AnyEvent::Order(_) => {
                    ::std::boxed::Box::pin(
                        ::core::future::ready(::core::result::Result::Ok(())),
                    )
                }
            }
        }
        pub fn ask<H: super::CallbackHandler>(
            handler: &H,
            run: &::callbacks::Run<'_>,
            event: &super::AnyEvent<'_>,
        ) -> ::callbacks::Answer<super::Events> {
            match event {
                super::AnyEvent::Order(event) => {
                    let answered = super::CallbackHandler::on_order(handler, event, run);
                    ::core::result::Result::map(
                        answered,
                        |reply| ::core::option::Option::Some(
                            super::AnyReply::Order(reply),
                        ),
                    )
                }
            }
        }
        pub fn ask_mut<H: super::ExclusiveCallbackHandler>(
            handler: &mut H,
            run: &::callbacks::Run<'_>,
            event: &super::AnyEvent<'_>,
        ) -> ::callbacks::Answer<super::Events> {
            match event {
                super::AnyEvent::Order(event) => {
                    let answered = super::ExclusiveCallbackHandler::on_order(
                        handler,
                        event,
                        run,
                    );
                    ::core::result::Result::map(
                        answered,
                        |reply| ::core::option::Option::Some(
                            super::AnyReply::Order(reply),
                        ),
                    )
                }
            }
        }
        pub fn ask_async<'a, 'e: 'a, H: super::AsyncCallbackHandler>(
            handler: &'a H,
            run: &'a ::callbacks::Run<'e>,
            event: &'a super::AnyEvent<'e>,
        ) -> ::callbacks::BoxFuture<'a, ::callbacks::Answer<super::Events>> {
            match event {
                super::AnyEvent::Order(event) => {
                    let answered = super::AsyncCallbackHandler::on_order(
                        handler,
                        event,
                        run,
                    );
                    ::std::boxed::Box::pin(async move {
                        let answered = answered.await;
                        ::core::result::Result::map(
                            answered,
                            |reply| ::core::option::Option::Some(
                                super::AnyReply::Order(reply),
                            ),
                        )
                    })
                }
            }
        }
    }
}
