/**
 * console: the server part of the web console. So far how people sign in with an OpenID provider: the
 * authorization-code flow, and the session that comes of it.
 */
export { createLoginService, isLoginRequest, type LoginServiceOptions } from './login-service.js';
export type { AssumeOutcome, AssumeRequest, LoginProvider } from './login-provider.js';
