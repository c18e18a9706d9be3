use callbacks::callback_events;

#[callback_events]
mod many {
    pub struct E00;
    pub struct E01;
    pub struct E02;
    pub struct E03;
    pub struct E04;
    pub struct E05;
    pub struct E06;
    pub struct E07;
    pub struct E08;
    pub struct E09;
    pub struct E10;
    pub struct E11;
    pub struct E12;
    pub struct E13;
    pub struct E14;
    pub struct E15;
    pub struct E16;
    pub struct E17;
    pub struct E18;
    pub struct E19;
    pub struct E20;
    pub struct E21;
    pub struct E22;
    pub struct E23;
    pub struct E24;
    pub struct E25;
    pub struct E26;
    pub struct E27;
    pub struct E28;
    pub struct E29;
    pub struct E30;
    pub struct E31;
    pub struct E32;
    pub struct E33;
    pub struct E34;
    pub struct E35;
    pub struct E36;
    pub struct E37;
    pub struct E38;
    pub struct E39;
    pub struct E40;
    pub struct E41;
    pub struct E42;
    pub struct E43;
    pub struct E44;
    pub struct E45;
    pub struct E46;
    pub struct E47;
    pub struct E48;
    pub struct E49;
    pub struct E50;
    pub struct E51;
    pub struct E52;
    pub struct E53;
    pub struct E54;
    pub struct E55;
    pub struct E56;
    pub struct E57;
    pub struct E58;
    pub struct E59;
    pub struct E60;
    pub struct E61;
    pub struct E62;
    pub struct E63;
    pub struct E64;
}

fn main() {
    let _ = (many::E00, many::E64);
}
