"""LTI 1.3: people come here from inside a course of their LMS, and are known without signing in again.

Facts: LTI Core 1.3 (imsglobal.org/spec/lti/v1p3), 1EdTech Security Framework 1.0 (imsglobal.org/spec/security/v1p0),
Deep Linking 2.0 (imsglobal.org/spec/lti-dl/v2p0). What an LMS does beyond them is a setting, and never code.
"""
