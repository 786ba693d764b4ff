mod http2_frames;
