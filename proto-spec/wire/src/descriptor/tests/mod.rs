mod av1;
mod h264;
mod vp8;
mod vp9;
