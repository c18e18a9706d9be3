#[automatically_derived]
impl shop::ExclusiveCallbackHandler for Counter {
    fn on_sold(
        &mut self,
        event: &shop::Sold<'_>,
        _run: &shop::__private::Run<'_>,
    ) -> shop::__private::Outcome {
        let count = event.count;
        let count: u32 = count;
        Self::on_sold(self, count);
        ::core::result::Result::Ok(())
    }
    fn on_tick(
        &mut self,
        _event: &shop::Tick,
        _run: &shop::__private::Run<'_>,
    ) -> shop::__private::Outcome {
        Self::on_tick(self);
        ::core::result::Result::Ok(())
    }
}
#[automatically_derived]
impl shop::__private::DeliverMut<shop::Events> for Counter {
    const INTERESTS: shop::__private::Interests = const {
        shop::__private::Interests::of(
            &[
                <shop::Sold<'_> as shop::__private::Event>::INDEX,
                <shop::Tick as shop::__private::Event>::INDEX,
            ],
        )
    };
    fn deliver_mut(
        &mut self,
        run: &shop::__private::Run<'_>,
        event: &<shop::Events as shop::__private::EventSet>::Ref<'_>,
    ) -> shop::__private::Outcome {
        shop::__private::deliver_mut(self, run, event)
    }
}
#[automatically_derived]
impl shop::__private::Handler<shop::Events> for Counter {
    type Delivery = shop::__private::Shared<Self>;
    fn register(self) -> shop::__private::Registered<shop::Events, Self::Delivery> {
        shop::__private::Exclusive::new(self).registered()
    }
}
