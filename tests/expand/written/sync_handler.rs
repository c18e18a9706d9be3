#[automatically_derived]
impl shop::CallbackHandler for Printer {
    fn interests(&self) -> shop::__private::Interests {
        const {
            shop::__private::Interests::of(
                &[<shop::Sold<'_> as shop::__private::Event>::INDEX],
            )
        }
    }
    fn on_sold(
        &self,
        event: &shop::Sold<'_>,
        _run: &shop::__private::Run<'_>,
    ) -> shop::__private::Outcome {
        let item = event.item;
        let item: &str = item;
        Self::on_sold(self, item);
        ::core::result::Result::Ok(())
    }
}
#[automatically_derived]
impl shop::AsyncCallbackHandler for Printer {
    fn interests(&self) -> shop::__private::Interests {
        shop::__private::Interests::NONE
    }
}
#[automatically_derived]
impl shop::__private::Deliver<shop::Events> for Printer {
    fn interests(&self) -> shop::__private::Interests {
        shop::CallbackHandler::interests(self)
    }
    fn async_interests(&self) -> shop::__private::Interests {
        shop::AsyncCallbackHandler::interests(self)
    }
    fn deliver(
        &self,
        run: &shop::__private::Run<'_>,
        event: &<shop::Events as shop::__private::EventSet>::Ref<'_>,
    ) -> shop::__private::Outcome {
        shop::__private::deliver(self, run, event)
    }
    fn deliver_async<'__this, '__event: '__this>(
        &'__this self,
        run: &'__this shop::__private::Run<'__event>,
        event: &'__this <shop::Events as shop::__private::EventSet>::Ref<'__event>,
    ) -> shop::__private::BoxFuture<'__this, shop::__private::Outcome> {
        shop::__private::deliver_async(self, run, event)
    }
}
#[automatically_derived]
impl shop::__private::Handler<shop::Events> for Printer {
    type Delivery = Self;
    fn register(self) -> shop::__private::Registered<shop::Events, Self::Delivery> {
        shop::__private::Registered::new(::std::sync::Arc::new(self))
    }
}
