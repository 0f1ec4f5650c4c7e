package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	storage "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// controlPlane runs etcd, the API server and what hangs on it: in namespaces of its own, or as plain processes on loopback.
func controlPlane(c *config) {
	s := newSupervisor(c.logs(), c.planeState())
	if !c.ControlPlaneOnly {
		must(syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""))
		ip("link set lo up")
		ip("link add br0 type bridge")
		ip("addr add " + controlPlaneIP + "/24 dev br0")
		ip("link set br0 up")
		writeFile("/proc/sys/net/ipv4/ip_forward", "1")
		c.holdAlivePipe()
		go forward(os.NewFile(3, "API server"), net.JoinHostPort(controlPlaneIP, "6443"))
		for i, m := range c.Ports {
			go forward(os.NewFile(uintptr(4+i), m.host()), net.JoinHostPort(c.nodeIP(c.nodeName(1)), strconv.Itoa(m.ContainerPort)))
		}
	}
	host := c.apiHost()
	etcd := fmt.Sprintf("http://127.0.0.1:%d", c.EtcdPort)
	pki := func(name string) string { return filepath.Join(c.Dir, "pki", name) }
	s.self("etcd", "--data-dir", filepath.Join(c.Dir, "etcd"), "--unsafe-no-fsync", "--quota-backend-bytes", "8589934592",
		"--listen-client-urls", etcd, "--advertise-client-urls", etcd,
		"--listen-peer-urls", fmt.Sprintf("http://127.0.0.1:%d", c.EtcdPort+1))
	args := []string{"--etcd-servers=" + etcd, "--secure-port=" + c.apiPort(), "--bind-address=" + c.bindAddress(), "--advertise-address=" + host,
		"--service-cluster-ip-range=" + serviceCIDR, "--cert-dir=" + pki("apiserver"),
		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"), "--client-ca-file=" + pki("ca.crt"),
		"--service-account-key-file=" + pki("sa.pub"), "--service-account-signing-key-file=" + pki("sa.key"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--kubelet-client-certificate=" + pki("admin.crt"), "--kubelet-client-key=" + pki("admin.key"),
		"--kubelet-certificate-authority=" + pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--enable-aggregator-routing", "--allow-privileged"}
	if c.ControlPlaneOnly {
		args = append(args, "--endpoint-reconciler-type=none")
	}
	s.self("kube-apiserver", append(args, c.APIServerArgs...)...)
	go func() {
		client := c.client(filepath.Join(c.Dir, "admin.conf"))
		waitReady(client)
		kubeconfig := func(name string) []string {
			f := filepath.Join(c.Dir, name+".conf")
			return []string{"--kubeconfig=" + f, "--authentication-kubeconfig=" + f, "--authorization-kubeconfig=" + f, "--leader-elect=false", "--bind-address=127.0.0.1"}
		}
		kcm := append(kubeconfig("kube-controller-manager"), "--secure-port="+c.controllerManagerPort(), "--use-service-account-credentials", "--allocate-node-cidrs=false",
			"--service-account-private-key-file="+pki("sa.key"), "--root-ca-file="+pki("ca.crt"),
			"--cluster-signing-cert-file="+pki("ca.crt"), "--cluster-signing-key-file="+pki("ca.key"))
		s.self("kube-controller-manager", append(kcm, c.ControllerManagerArgs...)...)
		if c.ControlPlaneOnly {
			return
		}
		s.self("kube-scheduler", append(kubeconfig("kube-scheduler"), c.SchedulerArgs...)...)
		s.self("coredns", "-conf", filepath.Join(c.Dir, "Corefile"))
		s.self("provisioner", filepath.Join(c.Dir, "admin.conf"), filepath.Join(c.Dir, "nodes"))
		baseObjects(client)
	}()
	s.reap()
}

// forward hands connections accepted in the host's network namespace to an address in this one.
func forward(listener *os.File, to string) {
	l := ok(net.FileListener(listener))
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				return
			}
			go func() {
				io.Copy(out, in)
				out.(*net.TCPConn).CloseWrite()
			}()
			io.Copy(in, out)
			in.Close()
			out.Close()
		}()
	}
}

func waitReady(client *kubernetes.Clientset) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		cancel()
		if err == nil {
			return
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// baseObjects are the storage classes, and the name server as a Service, for whoever looks for it by that name.
func baseObjects(client *kubernetes.Clientset) {
	ctx, create := context.Background(), metav1.CreateOptions{}
	wait, atOnce, remove, yes, port := storage.VolumeBindingWaitForFirstConsumer, storage.VolumeBindingImmediate, v1.PersistentVolumeReclaimDelete, true, int32(53)
	name, udp, tcp := "dns", v1.ProtocolUDP, v1.ProtocolTCP
	nameTCP := "dns-tcp"
	steps := []func() error{
		func() error {
			_, err := client.StorageV1().StorageClasses().Create(ctx, &storage.StorageClass{
				ObjectMeta:  metav1.ObjectMeta{Name: "standard", Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
				Provisioner: provisionerName, VolumeBindingMode: &wait, ReclaimPolicy: &remove}, create)
			return err
		},
		func() error {
			_, err := client.StorageV1().StorageClasses().Create(ctx, &storage.StorageClass{
				ObjectMeta:  metav1.ObjectMeta{Name: "immediate"},
				Provisioner: provisionerName, VolumeBindingMode: &atOnce, ReclaimPolicy: &remove}, create)
			return err
		},
		func() error {
			_, err := client.CoreV1().Services("kube-system").Create(ctx, &v1.Service{
				ObjectMeta: metav1.ObjectMeta{Name: "kube-dns", Labels: map[string]string{"k8s-app": "kube-dns"}},
				Spec: v1.ServiceSpec{ClusterIP: dnsIP, Ports: []v1.ServicePort{
					{Name: name, Port: port, Protocol: udp}, {Name: nameTCP, Port: port, Protocol: tcp}}}}, create)
			return err
		},
		func() error {
			_, err := client.DiscoveryV1().EndpointSlices("kube-system").Create(ctx, &discovery.EndpointSlice{
				ObjectMeta:  metav1.ObjectMeta{Name: "kube-dns-devcluster", Labels: map[string]string{discovery.LabelServiceName: "kube-dns"}},
				AddressType: discovery.AddressTypeIPv4,
				Endpoints:   []discovery.Endpoint{{Addresses: []string{controlPlaneIP}, Conditions: discovery.EndpointConditions{Ready: &yes}}},
				Ports:       []discovery.EndpointPort{{Name: &name, Port: &port, Protocol: &udp}, {Name: &nameTCP, Port: &port, Protocol: &tcp}}}, create)
			return err
		},
	}
	for _, step := range steps {
		for try := 0; try < 100; try++ {
			if err := step(); err == nil || apierrors.IsAlreadyExists(err) {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}
