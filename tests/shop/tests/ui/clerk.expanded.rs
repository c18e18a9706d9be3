impl Clerk {
    fn on_sold(&self, item: &str, count: u32) {
        let _ = (item, count);
    }
    fn on_refund(&self) -> shop::Verdict {
        shop::Verdict::Yes
    }
}
#[automatically_derived]
impl shop::trade::CallbackHandler for Clerk {
    fn interests(&self) -> shop::trade::__private::Interests {
        const {
            shop::trade::__private::Interests::of(
                &[
                    <shop::trade::Sold<'_> as shop::trade::__private::Event>::INDEX,
                    <shop::trade::Refund<'_> as shop::trade::__private::Event>::INDEX,
                ],
            )
        }
    }
    fn on_sold(
        &self,
        event: &shop::trade::Sold<'_>,
        _run: &shop::trade::__private::Run<'_>,
    ) -> shop::trade::__private::Outcome {
        let item = event.item;
        let item: &str = item;
        let count = event.count;
        let count: u32 = count;
        Self::on_sold(self, item, count);
        ::core::result::Result::Ok(())
    }
    fn on_refund(
        &self,
        _event: &shop::trade::Refund<'_>,
        _run: &shop::trade::__private::Run<'_>,
    ) -> ::core::result::Result<
        <shop::trade::Refund<'_> as shop::trade::__private::Event>::Reply,
        shop::trade::__private::BoxError,
    > {
        <shop::Verdict as shop::trade::__private::IntoOutcome<
            <shop::trade::Refund<'_> as shop::trade::__private::Event>::Reply,
        >>::into_outcome(Self::on_refund(self))
    }
}
#[automatically_derived]
impl shop::trade::AsyncCallbackHandler for Clerk {
    fn interests(&self) -> shop::trade::__private::Interests {
        shop::trade::__private::Interests::NONE
    }
}
#[automatically_derived]
impl shop::trade::__private::Deliver<shop::trade::Events> for Clerk {
    fn interests(&self) -> shop::trade::__private::Interests {
        shop::trade::CallbackHandler::interests(self)
    }
    fn async_interests(&self) -> shop::trade::__private::Interests {
        shop::trade::AsyncCallbackHandler::interests(self)
    }
    fn deliver(
        &self,
        run: &shop::trade::__private::Run<'_>,
        event: &<shop::trade::Events as shop::trade::__private::EventSet>::Ref<'_>,
    ) -> shop::trade::__private::Outcome {
        shop::trade::__private::deliver(self, run, event)
    }
    fn deliver_async<'__this, '__event: '__this>(
        &'__this self,
        run: &'__this shop::trade::__private::Run<'__event>,
        event: &'__this <shop::trade::Events as shop::trade::__private::EventSet>::Ref<
            '__event,
        >,
    ) -> shop::trade::__private::BoxFuture<'__this, shop::trade::__private::Outcome> {
        shop::trade::__private::deliver_async(self, run, event)
    }
    fn ask(
        &self,
        run: &shop::trade::__private::Run<'_>,
        event: &<shop::trade::Events as shop::trade::__private::EventSet>::Ref<'_>,
    ) -> shop::trade::__private::Answer<shop::trade::Events> {
        shop::trade::__private::ask(self, run, event)
    }
}
#[automatically_derived]
impl shop::trade::__private::Handler<shop::trade::Events> for Clerk {
    type Delivery = Self;
    fn register(
        self,
    ) -> shop::trade::__private::Registered<shop::trade::Events, Self::Delivery> {
        shop::trade::__private::Registered::new(::std::sync::Arc::new(self))
    }
}
