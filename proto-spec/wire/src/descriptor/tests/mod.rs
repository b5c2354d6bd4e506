mod vp8;
