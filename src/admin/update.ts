/** `mc admin update`: this server does not replace itself, and says so. */
import { adminError } from './errors.js';
import { adminOperation, type AdminRoute } from './operation.js';

const update = adminOperation({
  name: 'ServerUpdate',
  access: ['ServerUpdate'],
  handle: () => {
    // Nothing is fetched, whatever the URL (CVE-2022-35919).
    throw adminError('MethodNotAllowed', 'This server does not update itself: install the new version and restart it.');
  },
});

export const updateRoutes: readonly AdminRoute[] = [{ method: 'POST', path: 'update', operation: update }];
