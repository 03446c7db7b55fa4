"""pywebsocket3's handler for /echo: sends each message back; `close CODE REASON` closes."""

from pywebsocket3 import common


def web_socket_do_extra_handshake(request):
    request.ws_protocol = request.ws_requested_protocols[0] if request.ws_requested_protocols else None


def web_socket_transfer_data(request):
    while True:
        message = request.ws_stream.receive_message()
        if message is None:
            return
        if isinstance(message, str) and message.startswith("close "):
            _, code, reason = message.split(" ", 2)
            request.ws_stream.close_connection(int(code), reason)
            return
        request.ws_stream.send_message(message, binary=isinstance(message, bytes))


def web_socket_passive_closing_handshake(request):
    if request.ws_close_code is None:
        return common.STATUS_NORMAL_CLOSURE, ""
    return request.ws_close_code, request.ws_close_reason
