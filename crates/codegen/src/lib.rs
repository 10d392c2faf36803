//! Build time: from proto descriptors to messages, JSON, services, routes, permissions and validation
