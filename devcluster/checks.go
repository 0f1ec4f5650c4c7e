package main

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// nameServerWorks asks from where the nodes' questions arrive.
func (c *config) nameServerWorks() bool {
	return exec.Command("nsenter", "-t", strconv.Itoa(pid(c.planePid())), "-n", ok(os.Executable()), "resolve", c.Dir, "kubernetes.default.svc.cluster.local").Run() == nil
}

// checkProvisioner lets one claim be filled on each node, without a pod.
func (c *config) checkProvisioner(client *kubernetes.Clientset) {
	ctx, claims := context.Background(), client.CoreV1().PersistentVolumeClaims("kube-system")
	for i := 1; i <= c.Nodes; i++ {
		name := "devcluster-check-" + c.nodeName(i)
		claims.Delete(ctx, name, metav1.DeleteOptions{})
		c.await("volumes", 30*time.Second, func() bool {
			_, err := claims.Create(ctx, &v1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"volume.kubernetes.io/selected-node": c.nodeName(i)}},
				Spec: v1.PersistentVolumeClaimSpec{AccessModes: []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce},
					Resources: v1.VolumeResourceRequirements{Requests: v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Mi")}}}}, metav1.CreateOptions{})
			return err == nil
		})
		c.await("volumes", 30*time.Second, func() bool {
			claim, err := claims.Get(ctx, name, metav1.GetOptions{})
			return err == nil && claim.Status.Phase == v1.ClaimBound
		})
		claims.Delete(ctx, name, metav1.DeleteOptions{})
	}
}

func nodeReady(client *kubernetes.Clientset, name string) bool {
	n, err := client.CoreV1().Nodes().Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return false
	}
	for _, condition := range n.Status.Conditions {
		if condition.Type == v1.NodeReady {
			return condition.Status == v1.ConditionTrue
		}
	}
	return false
}
