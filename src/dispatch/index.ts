/**
 * dispatch: the one pipeline parse → authenticate → authorize → act.
 * Protocol rooms see signatures only through what this door passes on.
 */
export type { Authorized, OperationSpec, ParsedCall, Permission, Service } from './operation.js';
export { createDispatcher, type DispatcherOptions } from './dispatcher.js';
export {
  authenticate,
  authenticateForm,
  type Authenticated,
  type AuthenticateOptions,
  type AuthenticationHints,
} from './authenticate.js';
export {
  createAuthorizer,
  isSignInDenied,
  rootOnly,
  type AuthorizationContext,
  type AuthorizerOptions,
  type IsAllowed,
} from './authorize.js';
export { createPluginAuthorizer, type PluginAuthorizerOptions } from './plugin-authorizer.js';
export { bucketOfHost, hostSuffixes } from './target.js';
export { Payload, type PayloadDocument, type PayloadEnd, type PayloadSink } from './payload.js';
export type { Authentication, PayloadProtection, SignatureErrorCode } from '../signature/index.js';
