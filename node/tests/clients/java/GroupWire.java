import java.io.DataInputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.message.HeartbeatRequestData;
import org.apache.kafka.common.message.JoinGroupRequestData;
import org.apache.kafka.common.message.JoinGroupResponseData;
import org.apache.kafka.common.message.LeaveGroupRequestData;
import org.apache.kafka.common.message.OffsetCommitRequestData;
import org.apache.kafka.common.message.SyncGroupRequestData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.requests.*;

/** Requests of the classic group protocol that no client of Kafka's would send, and the error codes that they get. */
final class GroupWire {
    private final Socket socket;
    private final DataInputStream answers;
    private int correlation;

    GroupWire(String address) throws IOException {
        String[] parts = address.split(":");
        socket = new Socket(parts[0], Integer.parseInt(parts[1]));
        socket.setSoTimeout((int) Transcript.PATIENCE_MS);
        answers = new DataInputStream(socket.getInputStream());
    }

    private AbstractResponse ask(AbstractRequest.Builder<?> builder, int version) throws IOException {
        AbstractRequest request = builder.build((short) version);
        RequestHeader header = new RequestHeader(request.apiKey(), (short) version, "wire", ++correlation);
        ByteBuffer body = request.serializeWithHeader(header);
        ByteBuffer frame = ByteBuffer.allocate(body.remaining() + 4).putInt(body.remaining()).put(body);
        socket.getOutputStream().write(frame.array());
        byte[] answer = new byte[answers.readInt()];
        answers.readFully(answer);
        return AbstractResponse.parseResponse(ByteBuffer.wrap(answer), header);
    }

    private JoinGroupRequestData join(String group, String member) {
        JoinGroupRequestData.JoinGroupRequestProtocolCollection protocols = new JoinGroupRequestData.JoinGroupRequestProtocolCollection();
        protocols.add(new JoinGroupRequestData.JoinGroupRequestProtocol().setName("range").setMetadata(new byte[10]));
        return new JoinGroupRequestData().setGroupId(group).setMemberId(member).setSessionTimeoutMs(10_000).setRebalanceTimeoutMs(10_000)
            .setProtocolType("consumer").setProtocols(protocols);
    }

    private JoinGroupResponseData joined(JoinGroupRequestData request, int version) throws IOException {
        return ((JoinGroupResponse) ask(new JoinGroupRequest.Builder(request), version)).data();
    }

    private static String shown(JoinGroupResponseData joined) {
        return Errors.forCode(joined.errorCode()) + " generation " + joined.generationId() + " protocol " + joined.protocolType() + "/"
            + joined.protocolName() + " id " + !joined.memberId().isEmpty() + " leader " + !joined.leader().isEmpty() + " members " + joined.members().size();
    }

    private void join(String step, JoinGroupRequestData request, int version) {
        Transcript.step("wire join " + step + " v" + version, () -> shown(joined(request, version)));
    }

    private Errors sync(String group, String member, int generation, byte[] assignment, int version) throws IOException {
        SyncGroupRequestData data = new SyncGroupRequestData().setGroupId(group).setMemberId(member).setGenerationId(generation)
            .setProtocolType("consumer").setProtocolName("range").setAssignments(assignment == null ? List.of()
            : List.of(new SyncGroupRequestData.SyncGroupRequestAssignment().setMemberId(member).setAssignment(assignment)));
        return ((SyncGroupResponse) ask(new SyncGroupRequest.Builder(data), version)).error();
    }

    private Errors heartbeat(String group, String member, String instance, int generation) throws IOException {
        return ((HeartbeatResponse) ask(new HeartbeatRequest.Builder(new HeartbeatRequestData().setGroupId(group).setMemberId(member)
            .setGroupInstanceId(instance).setGenerationId(generation)), 4)).error();
    }

    private Errors commit(String group, String member, int generation, int version) throws IOException {
        OffsetCommitRequestData data = new OffsetCommitRequestData().setGroupId(group).setMemberId(member).setGenerationIdOrMemberEpoch(generation)
            .setTopics(List.of(new OffsetCommitRequestData.OffsetCommitRequestTopic().setName("t").setPartitions(List.of(
                new OffsetCommitRequestData.OffsetCommitRequestPartition().setPartitionIndex(0).setCommittedOffset(3)))));
        OffsetCommitResponse response = (OffsetCommitResponse) ask(OffsetCommitRequest.Builder.forTopicNames(data), version);
        return Errors.forCode(response.data().topics().get(0).partitions().get(0).errorCode());
    }

    private String leave(String group, String member, String instance) throws IOException {
        LeaveGroupResponse response = (LeaveGroupResponse) ask(new LeaveGroupRequest.Builder(group, List.of(
            new LeaveGroupRequestData.MemberIdentity().setMemberId(member).setGroupInstanceId(instance))), 5);
        return response.topLevelError() + " " + response.memberResponses().stream().map(m -> Errors.forCode(m.errorCode())).toList();
    }

    void run() throws Exception {
        for (int version : new int[] {2, 4, 9}) {
            join("of nobody", join("nobody", "somebody"), version);
            join("without group", join("", ""), version);
            join("with a short session", join("w", "").setSessionTimeoutMs(5_999), version);
            join("with a long session", join("w", "").setSessionTimeoutMs(1_800_001), version);
            join("without protocols", join("w", "").setProtocols(new JoinGroupRequestData.JoinGroupRequestProtocolCollection()), version);
            join("without type", join("w", "").setProtocolType(""), version);
        }
        String member = joined(join("wire", ""), 9).memberId();
        JoinGroupResponseData in = joined(join("wire", member), 9);
        Transcript.step("wire joined", () -> shown(in));
        int now = in.generationId();
        Transcript.step("wire heartbeat before the assignment", () -> heartbeat("wire", member, null, now));
        Transcript.step("wire commit before the assignment", () -> commit("wire", member, now, 9));
        Transcript.step("wire sync", () -> sync("wire", member, now, new byte[] {1}, 5));
        join("another type", join("wire", "").setProtocolType("connect"), 9);
        join("with somebody's id", join("wire", "somebody"), 9);
        join("again as it is", join("wire", member).setReason("again"), 9);
        int then = now + 1;
        Transcript.step("wire sync again", () -> sync("wire", member, then, new byte[] {2}, 5));
        for (Object[] who : new Object[][] {{member, now}, {member, then + 1}, {member, -1}, {"somebody", then}, {"", then}, {"", -1}}) {
            String name = who[0] == member ? "member" : "'" + who[0] + "'";
            int at = (Integer) who[1];
            String when = at - then > 1 || at < 0 ? String.valueOf(at) : "now" + (at - then);
            for (int version : new int[] {7, 9}) {
                Transcript.step("wire commit v" + version + " of " + name + " at " + when, () -> commit("wire", (String) who[0], at, version));
            }
            Transcript.step("wire heartbeat of " + name + " at " + when, () -> heartbeat("wire", (String) who[0], null, at));
            Transcript.step("wire sync of " + name + " at " + when, () -> sync("wire", (String) who[0], at, null, 5));
        }
        Transcript.step("wire sync with another protocol", () -> {
            SyncGroupRequestData data = new SyncGroupRequestData().setGroupId("wire").setMemberId(member).setGenerationId(then)
                .setProtocolType("connect").setProtocolName("range");
            return ((SyncGroupResponse) ask(new SyncGroupRequest.Builder(data), 5)).error();
        });
        Transcript.step("wire heartbeat with an instance that is none", () -> heartbeat("wire", member, "i", then));
        Transcript.step("wire heartbeat of nobody", () -> heartbeat("nobody", "m", null, 0));
        Transcript.step("wire heartbeat without group", () -> heartbeat("", "m", null, 0));
        for (int version : new int[] {8, 9}) {
            Transcript.step("wire commit to nobody v" + version, () -> commit("nobody", "m", 3, version));
        }
        Transcript.step("wire sync of nobody", () -> sync("nobody", "m", 0, null, 5));
        Transcript.step("wire leave of somebody", () -> leave("wire", "somebody", null));
        Transcript.step("wire leave of nobody", () -> leave("nobody", "m", null));
        Transcript.step("wire leave with an instance that is none", () -> leave("wire", member, "i"));
        Transcript.step("wire leave", () -> leave("wire", member, null));
        Transcript.step("wire leave again", () -> leave("wire", member, null));
        Transcript.step("wire commit after it", () -> commit("wire", member, then, 9));
        statics();
        large();
        versions();
        socket.close();
    }

    private void statics() throws Exception {
        JoinGroupResponseData old = joined(join("static", "").setGroupInstanceId("i"), 9);
        Transcript.step("wire static joined", () -> shown(old));
        Transcript.step("wire static synced", () -> sync("static", old.memberId(), old.generationId(), new byte[] {1}, 5));
        JoinGroupResponseData again = joined(join("static", "").setGroupInstanceId("i"), 9);
        Transcript.step("wire static back", () -> shown(again) + " skips " + again.skipAssignment() + " another id " + !again.memberId().equals(old.memberId()));
        Transcript.step("wire fenced heartbeat", () -> heartbeat("static", old.memberId(), "i", old.generationId()));
        Transcript.step("wire heartbeat of the old id alone", () -> heartbeat("static", old.memberId(), null, old.generationId()));
        join("fenced", join("static", old.memberId()).setGroupInstanceId("i"), 9);
        Transcript.step("wire fenced leave", () -> leave("static", old.memberId(), "i"));
        Transcript.step("wire heartbeat of the new self", () -> heartbeat("static", again.memberId(), "i", again.generationId()));
        Transcript.step("wire leave by instance", () -> leave("static", "", "i"));
    }

    private void large() throws Exception {
        String member = joined(join("large", ""), 9).memberId();
        JoinGroupResponseData in = joined(join("large", member), 9);
        Transcript.step("wire an assignment of 2 MB", () -> sync("large", member, in.generationId(), new byte[2 << 20], 5));
        Transcript.step("wire heartbeat after it", () -> heartbeat("large", member, null, in.generationId()));
    }

    private void versions() throws Exception {
        ApiVersionsResponse response = (ApiVersionsResponse) ask(new ApiVersionsRequest.Builder(), 4);
        Map<String, String> shown = new TreeMap<>();
        response.data().apiKeys().forEach(k -> shown.put(ApiKeys.forId(k.apiKey()).name(), k.minVersion() + "-" + k.maxVersion()));
        shown.forEach((name, versions) -> System.out.println("versions of " + name + ": " + versions));
    }
}
