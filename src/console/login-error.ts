/** Everything that a login can fail with: a status and a text that never quotes a token or markup. */
import { Refusal } from '../base/index.js';

const table = {
  AccessDenied: [403, 'You may not sign in here.'],
  InvalidLogin: [400, 'This login is over, or was not begun in this browser. Begin anew at /oauth/login.'],
  InvalidParameter: [400, 'A parameter has a value that is not valid.'],
  InvalidProviderAnswer: [502, 'The provider sent an answer that cannot be used. The log of the server says more.'],
  MethodNotAllowed: [405, 'The method is not allowed here.'],
  NoRedirectAddress: [
    400,
    'The server does not know the address that the provider sends you back to. Set MINIO_BROWSER_REDIRECT_URL to ' +
      'the address that people open, or redirect_uri_dynamic=on for this provider.',
  ],
  NoSession: [401, 'Nobody is signed in.'],
  NoSuchProvider: [404, 'There is no such provider.'],
  ProviderRefused: [502, 'The provider refused this server.'],
  ProviderUnavailable: [503, 'The provider cannot be reached. Try again.'],
  TooManyLogins: [503, 'Too many people are signing in at this moment. Try again.'],
  InternalError: [500, 'We encountered an internal error. Try again.'],
} as const;

export type LoginErrorCode = keyof typeof table;

/** `cause` is for the log. */
export function loginError(code: LoginErrorCode, message?: string, cause?: unknown): Refusal<LoginErrorCode> {
  return new Refusal(code, message ?? table[code][1], {}, cause);
}

/** Of the codes of the security token service those are passed on as they are that are not in the table. */
export class AssumeRefused extends Refusal {
  constructor(
    readonly status: number,
    code: string,
    message: string,
  ) {
    super(code, message);
  }
}

export function describeLoginError(error: unknown): {
  readonly status: number;
  readonly code: string;
  readonly message: string;
} {
  if (error instanceof AssumeRefused) return error;
  const code = error instanceof Refusal ? (error.code as string) : '';
  if (error instanceof Refusal && Object.hasOwn(table, code)) {
    return { status: table[code as LoginErrorCode][0], code, message: error.message };
  }
  return { status: 500, code: 'InternalError', message: table.InternalError[1] };
}
