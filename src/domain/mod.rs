//! Pure values and decisions of HTTP and of chunked objects. Nothing here touches the world.
