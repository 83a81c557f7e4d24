import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Manager;
import io.socket.client.Socket;
import io.socket.engineio.client.Transport;
import io.socket.engineio.parser.Packet;
import java.net.URI;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.json.JSONObject;

/**
 * A member of a meeting on the Java client of Socket.IO: joins, writes, hears itself answered,
 * leaves. Polling first, then upgraded, as that client does unless told otherwise.
 *
 * <p>usage: Member ORIGIN TOKEN MEETING; prints what it was answered, as one line of JSON.
 */
class Member {
    private static final int WAIT_S = 8;

    private static JSONObject call(Socket socket, String event, JSONObject payload) throws Exception {
        CompletableFuture<JSONObject> answer = new CompletableFuture<>();

        socket.emit(event, payload, (Ack) args -> answer.complete((JSONObject) args[0]));
        return answer.get(WAIT_S, TimeUnit.SECONDS);
    }

    private static <T> T next(BlockingQueue<T> queue, String what) throws Exception {
        T first = queue.poll(WAIT_S, TimeUnit.SECONDS);

        if (first == null) {
            throw new IllegalStateException("no " + what + " came");
        }
        return first;
    }

    public static void main(String[] args) throws Exception {
        IO.Options options = IO.Options.builder().setReconnection(false).build();
        BlockingQueue<JSONObject> heard = new LinkedBlockingQueue<>();
        AtomicReference<String> carrier = new AtomicReference<>();
        CompletableFuture<Void> connected = new CompletableFuture<>();
        JSONObject told = new JSONObject();

        options.auth = Map.of("token", args[1]);
        Socket socket = IO.socket(URI.create(args[0] + "/meeting"), options);
        socket.on(Socket.EVENT_CONNECT, none -> connected.complete(null));
        socket.on(Socket.EVENT_CONNECT_ERROR, why ->
                connected.completeExceptionally(new IllegalStateException(why[0].toString())));
        socket.on("chat:message", message -> heard.add((JSONObject) message[0]));
        socket.io().on(Manager.EVENT_TRANSPORT, made -> {
            Transport transport = (Transport) made[0];
            transport.on(Transport.EVENT_PACKET, packet -> {
                if (((Packet<?>) packet[0]).type.equals(Packet.MESSAGE)) {
                    carrier.set(transport.name);
                }
            });
        });
        socket.connect();
        connected.get(WAIT_S, TimeUnit.SECONDS);

        told.put("joined", call(socket, "room:join",
                new JSONObject().put("meeting_id", args[2]).put("display_name", "Java")));
        told.put("sent", call(socket, "chat:send",
                new JSONObject().put("message", "from Java").put("client_message_id", "j1")));
        told.put("refused", call(socket, "room:lock", new JSONObject()));
        JSONObject message = next(heard, "message");
        while (!message.getString("message").equals("to Java")) {
            message = next(heard, "message");
        }
        told.put("heard", message);
        told.put("left", call(socket, "room:leave", new JSONObject()));
        told.put("carrier", carrier.get()); /* of the last message */
        socket.disconnect();
        System.out.println(told);
        System.exit(0); /* its threads would linger for a minute */
    }
}
