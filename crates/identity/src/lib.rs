//! Bearer token to caller; the directory of users, tokens and memberships
