// A client on Node `ws`: says hello, tells what comes back, stays, and tells how it ends.

import WebSocket from 'ws';

const socket = new WebSocket(process.argv[2]);
socket.on('open', () => socket.send('hello'));
socket.on('message', data => console.log(`answered: ${data}`));
socket.on('close', code => console.log(`closed: ${code}`));
socket.on('error', error => console.log(`failed: ${error.message}`));
